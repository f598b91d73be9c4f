//! Arithmetic on 3×3 matrices in row-major order: all that a filter of three states needs.
#![expect(clippy::indexing_slicing, reason = "indices below 9 into arrays of 9")]

pub type Vector3 = [f64; 3];
pub type Matrix3 = [f64; 9];

/// The matrix with these values on its diagonal.
#[must_use]
pub fn diagonal(values: Vector3) -> Matrix3 {
    let [a, b, c] = values;
    [a, 0.0, 0.0, 0.0, b, 0.0, 0.0, 0.0, c]
}

#[must_use]
pub fn dot(a: &Vector3, b: &Vector3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// `m · v`.
#[must_use]
pub fn apply(m: &Matrix3, v: &Vector3) -> Vector3 {
    std::array::from_fn(|row| (0..3).map(|k| m[3 * row + k] * v[k]).sum())
}

/// `a · b`.
#[must_use]
pub fn multiply(a: &Matrix3, b: &Matrix3) -> Matrix3 {
    std::array::from_fn(|at| (0..3).map(|k| a[at / 3 * 3 + k] * b[3 * k + at % 3]).sum())
}

#[must_use]
pub fn add(a: &Matrix3, b: &Matrix3) -> Matrix3 {
    std::array::from_fn(|at| a[at] + b[at])
}

#[must_use]
pub fn transpose(m: &Matrix3) -> Matrix3 {
    std::array::from_fn(|at| m[at % 3 * 3 + at / 3])
}

/// `v · wᵀ`.
#[must_use]
pub fn outer(v: &Vector3, w: &Vector3) -> Matrix3 {
    std::array::from_fn(|at| v[at / 3] * w[at % 3])
}

#[must_use]
pub fn trace(m: &Matrix3) -> f64 {
    m[0] + m[4] + m[8]
}

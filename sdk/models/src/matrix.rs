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

/// `u · a + v · b`, of vectors or matrices.
#[must_use]
pub fn combine<const N: usize>(u: f64, a: &[f64; N], v: f64, b: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|at| u * a[at] + v * b[at])
}

/// Each element kept between those of two others.
#[must_use]
pub fn between<const N: usize>(value: &[f64; N], low: &[f64; N], high: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|at| value[at].max(low[at]).min(high[at]))
}

/// The vector with one element moved.
#[must_use]
pub fn moved(vector: &Vector3, at: usize, by: f64) -> Vector3 {
    std::array::from_fn(|i| if i == at { vector[i] + by } else { vector[i] })
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

/// The vector `x` for which each row's product with it is the right side (Cramer's rule); not
/// finite where the rows are dependent.
#[must_use]
pub fn solve(rows: [Vector3; 3], right: Vector3) -> Vector3 {
    let [a, b, c] = rows;
    let (bc, ca, ab) = (cross(&b, &c), cross(&c, &a), cross(&a, &b));
    let determinant = dot(&a, &bc);
    std::array::from_fn(|at| {
        (right[0] * bc[at] + right[1] * ca[at] + right[2] * ab[at]) / determinant
    })
}

fn cross(a: &Vector3, b: &Vector3) -> Vector3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solution_meets_every_row() {
        let rows = [[2.0, -1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 1.0, -4.0]];
        let right = [1.0, -2.0, 7.0];
        let x = solve(rows, right);
        for (row, right) in rows.iter().zip(right) {
            assert!((dot(row, &x) - right).abs() < 1e-12);
        }
    }

    #[test]
    fn products_agree_with_those_done_by_hand() {
        let m = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0];
        assert_eq!(apply(&m, &[1.0, 0.0, -1.0]), [-2.0, -2.0, -3.0]);
        assert_eq!(trace(&outer(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0])), 32.0);
    }
}

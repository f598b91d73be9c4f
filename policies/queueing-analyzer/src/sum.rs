//! Sums that do not depend on the order of their terms, so that the order in which replicas are
//! listed cannot change a decision.

/// A sum in fixed point with `BITS` bits after the point. Saturates at `2^(63-BITS)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum<const BITS: u32>(i64);

/// Bits for seconds, rates, requests and shares: steps of 10⁻⁹, up to 9·10⁹.
pub(crate) const FINE: u32 = 30;

/// Bits for tokens: steps of 6·10⁻⁸, up to 5·10¹¹.
pub(crate) const COARSE: u32 = 24;

impl<const BITS: u32> Sum<BITS> {
    const SCALE: f64 = (1_u64 << BITS) as f64;

    pub(crate) fn add(&mut self, value: f64) {
        // The conversion saturates.
        self.0 = self.0.saturating_add((value * Self::SCALE) as i64);
    }

    pub(crate) fn value(self) -> f64 {
        self.0 as f64 / Self::SCALE
    }
}

/// A mean weighted by what it is the mean of; `None` while nothing was added.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean<const BITS: u32> {
    sum: Sum<BITS>,
    weight: Sum<FINE>,
}

impl<const BITS: u32> Mean<BITS> {
    pub(crate) fn add(&mut self, value: Option<f64>, weight: f64) {
        if let Some(value) = value {
            self.sum.add(value * weight);
            self.weight.add(weight);
        }
    }

    pub(crate) fn value(&self) -> Option<f64> {
        let weight = self.weight.value();
        (weight > 0.0).then(|| self.sum.value() / weight)
    }
}

/// A total over those that reported, with their number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total<const BITS: u32> {
    sum: Sum<BITS>,
    count: u32,
}

impl<const BITS: u32> Total<BITS> {
    pub(crate) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum.add(value);
            self.count += 1;
        }
    }

    /// The sum over those that reported; `None` where none did.
    pub(crate) fn reported(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value())
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        self.reported().map(|sum| sum / f64::from(self.count))
    }

    /// The sum over `all`, those that did not report taken to be like those that did.
    pub(crate) fn of_all(&self, all: u32) -> Option<f64> {
        self.mean()
            .map(|mean| mean * f64::from(all.max(self.count)))
    }
}

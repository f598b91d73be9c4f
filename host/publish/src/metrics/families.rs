//! Writes the families of a collector: help always, values only where they are numbers.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn gauge<'s, L: EncodeLabelSet + 's>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (&'s L, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            if value.is_finite() {
                ConstGauge::new(value).encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }

    /// A gauge without labels, which may be unknown.
    pub(super) fn single(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        match value.filter(|value| value.is_finite()) {
            Some(value) => ConstGauge::new(value).encode(family),
            None => Ok(()),
        }
    }

    /// A counter of seconds without labels. The name is without its `_total`.
    pub(super) fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(family)
    }

    /// The name is without its `_total`.
    pub(super) fn counter<'s, L: EncodeLabelSet + 's>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (&'s L, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            ConstCounter::new(value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

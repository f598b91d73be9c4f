//! What an operator may set, with the reasons for the defaults.

use schemars::JsonSchema;
use serde::Deserialize;
use trimtab_sdk::Refusal;

/// Settings of the queueing analyzer. Every field has a default; `{}` is a full document.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Supply to keep above what is expected, as a share of it.
    pub headroom: f64,
    /// Supply to keep for what counting may have missed and the trend may yet bring: so many
    /// standard deviations of both. A large share of a small load, a small one of a large load.
    /// Meant for objectives at the 99th percentile; less is kept where more requests may miss them.
    pub noise_margin: f64,
    /// Seconds in which requests that wait beyond the usual are to be served.
    pub drain_seconds: f64,
    /// Whether to provide for the load expected when a replica asked for now would serve.
    pub forecast: bool,
    /// Seconds to look ahead; the start-up time of the slowest variant where not set.
    pub forecast_horizon_seconds: Option<f64>,
    /// Seconds for which supply that was needed is kept.
    pub scale_down_window_seconds: f64,
    /// Whether the constants of an iteration follow what is measured.
    pub tracking: bool,
    /// Share of the KV cache that may be filled before a replica counts as full, where tokens are
    /// all that there is to judge by.
    pub kv_threshold: f64,
    /// Requests waiting in a replica that show it to be at its limit, in the same case.
    pub queue_threshold: f64,
    /// Utilisation above which supply is added where there is no latency to judge by.
    pub scale_up_utilization: f64,
    /// Utilisation below which supply may go, in the same case.
    pub scale_down_utilization: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            headroom: 0.0,
            noise_margin: 1.75,
            drain_seconds: 60.0,
            forecast: true,
            forecast_horizon_seconds: None,
            scale_down_window_seconds: 300.0,
            tracking: true,
            kv_threshold: 0.80,
            queue_threshold: 5.0,
            scale_up_utilization: 0.85,
            scale_down_utilization: 0.70,
        }
    }
}

impl Settings {
    /// Reads and checks the settings document.
    ///
    /// # Errors
    /// A settings refusal that names the field and says what would be right.
    pub fn read(document: &str) -> Result<Self, Refusal> {
        let settings: Self = trimtab_sdk::settings::parse(document)?;
        settings.check().map_err(Refusal::Settings)?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let ranges = [
            ("headroom", self.headroom, 0.0, 10.0),
            ("noise-margin", self.noise_margin, 0.0, 10.0),
            ("drain-seconds", self.drain_seconds, 1.0, 3600.0),
            (
                "scale-down-window-seconds",
                self.scale_down_window_seconds,
                0.0,
                86_400.0,
            ),
            ("kv-threshold", self.kv_threshold, 0.01, 1.0),
            ("queue-threshold", self.queue_threshold, 1.0, 1e6),
            ("scale-up-utilization", self.scale_up_utilization, 0.01, 1.0),
            (
                "scale-down-utilization",
                self.scale_down_utilization,
                0.01,
                1.0,
            ),
            (
                "forecast-horizon-seconds",
                self.forecast_horizon_seconds.unwrap_or_default(),
                0.0,
                86_400.0,
            ),
        ];
        for (field, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(format!("{field}: {value} is not between {low} and {high}"));
            }
        }
        if self.scale_down_utilization >= self.scale_up_utilization {
            return Err(format!(
                "scale-down-utilization: {} is not below scale-up-utilization, which is {}",
                self.scale_down_utilization, self.scale_up_utilization
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(document: &str) -> String {
        match Settings::read(document) {
            Err(Refusal::Settings(message)) => message,
            other => panic!("{document} gave {other:?}"),
        }
    }

    #[test]
    fn an_empty_document_is_the_defaults() {
        assert_eq!(Settings::read("{}"), Ok(Settings::default()));
        assert_eq!(Settings::read(""), Ok(Settings::default()));
    }

    #[test]
    fn a_wrong_value_names_its_field() {
        assert!(refused(r#"{"headroom": -1}"#).starts_with("headroom: -1 is not between"));
        assert!(refused(r#"{"kv-threshold": 1.5}"#).starts_with("kv-threshold"));
        assert!(refused(r#"{"forecast-horizon-seconds": -5}"#).starts_with("forecast-horizon"));
        assert!(
            refused(r#"{"scale-down-utilization": 0.9}"#).starts_with("scale-down-utilization")
        );
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        assert!(refused(r#"{"head-room": 0.1}"#).contains("head-room"));
    }
}

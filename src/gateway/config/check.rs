//! What can be written down and cannot be meant.

use std::time::Duration;

use super::{ConfigError, Settings};

impl Settings {
    /// Whether every number is one that can be held to.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        seconds("heartbeat", self.heartbeat)?;
        seconds("limits.websocket_idle", self.limits.websocket_idle)?;
        if self.limits.in_flight == Some(0) {
            return Err(ConfigError::new("limits.in_flight: 0 would let nothing through; left out there is no bound"));
        }
        let further = self.upstreams.iter().map(|(name, upstream)| (format!("upstreams.{name}"), upstream));
        for (name, upstream) in std::iter::once(("upstream".to_owned(), &self.upstream)).chain(further) {
            for (key, value) in [
                ("connect_timeout", upstream.connect_timeout),
                ("first_byte_timeout", upstream.first_byte_timeout),
                ("idle_timeout", upstream.idle_timeout),
                ("total_timeout", upstream.total_timeout),
            ] {
                seconds(&format!("{name}.{key}"), value)?;
            }
        }
        Ok(())
    }
}

fn seconds(key: &str, value: Option<f64>) -> Result<(), ConfigError> {
    match value {
        Some(value) if Duration::try_from_secs_f64(value).is_err() => {
            Err(ConfigError::new(format!("{key}: {value} is no number of seconds")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_meant_are_named() {
        for (text, key) in [
            ("heartbeat = -1", "heartbeat: -1"),
            ("heartbeat = nan", "heartbeat: NaN"),
            ("[limits]\nwebsocket_idle = -0.5", "limits.websocket_idle: -0.5"),
            ("[limits]\nin_flight = 0", "limits.in_flight: 0"),
            ("[upstream]\nidle_timeout = -3", "upstream.idle_timeout: -3"),
            ("[upstreams.a]\ntotal_timeout = inf", "upstreams.a.total_timeout: inf"),
        ] {
            let settings: Settings = toml::from_str(text).expect(text);
            let error = settings.check().expect_err(text).to_string();
            assert!(error.starts_with(key), "{error}");
        }
        let settings: Settings = toml::from_str("heartbeat = 0\n[upstream]\nidle_timeout = 0").expect("settings");
        assert!(settings.check().is_ok());
    }
}

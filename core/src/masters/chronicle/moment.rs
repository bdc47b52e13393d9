//! An instant, as logs write it.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tahr_plugin_api::Timestamp;

/// An instant in UTC, to the microsecond; as text RFC 3339, `2026-01-31T23:59:59.123456Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// The instant by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// A commit time of a stream: microseconds since 2000-01-01.
    #[must_use]
    pub const fn committed(micros: i64) -> Self {
        Self(Timestamp(micros))
    }

    /// The second that it lies in, counted from 2000-01-01.
    #[must_use]
    pub const fn second(self) -> i64 {
        self.0.0.div_euclid(1_000_000)
    }
}

/// Seconds from 1970 to 2000, from where timestamps count.
const UNIX_2000: i64 = 946_684_800;

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let micros = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(0));
        Self(Timestamp::from_unix_micros(micros).unwrap_or(Timestamp(0)))
    }
}

impl From<Moment> for SystemTime {
    /// No clock goes back beyond 1970.
    fn from(moment: Moment) -> Self {
        let micros = moment.0.0.saturating_add(UNIX_2000 * 1_000_000);
        UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.civil() {
            Some((day, _)) if !day.is_bc() => {
                let micros = self.0.0.rem_euclid(86_400_000_000);
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                let seconds = seconds % 60;
                let date = self.0.date();
                write!(
                    f,
                    "{date}T{hours:02}:{minutes:02}:{seconds:02}.{micros:06}Z"
                )
            }
            // No clock says so, but a database may.
            _ => write!(f, "{}", self.0.in_utc()),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = text
            .strip_suffix('Z')
            .map(|text| text.replacen('T', " ", 1));
        let parsed = match plain {
            Some(text) => Timestamp::parse(&text),
            None => Timestamp::parse_tz(&text),
        };
        parsed
            .map(Self)
            .ok_or_else(|| de::Error::custom("not an instant of RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_read_as_rfc_3339_in_utc() {
        for (micros, text) in [
            (0, "2000-01-01T00:00:00.000000Z"),
            (-1, "1999-12-31T23:59:59.999999Z"),
            (762_350_399_000_500, "2024-02-27T11:59:59.000500Z"),
        ] {
            let moment = Moment::committed(micros);
            assert_eq!(moment.to_string(), text);
            let json = serde_json::to_string(&moment).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Moment>(&json).unwrap(), moment);
        }
        assert!(serde_json::from_str::<Moment>("\"yesterday\"").is_err());
    }

    #[test]
    fn infinities_and_times_before_christ_come_back() {
        for timestamp in [
            Timestamp::INFINITY,
            Timestamp::NEG_INFINITY,
            Timestamp(-70_000_000_000_000_000),
        ] {
            let json = serde_json::to_string(&Moment(timestamp)).unwrap();
            let read: Moment = serde_json::from_str(&json).unwrap();
            assert_eq!(read.0, timestamp, "{json}");
        }
    }

    #[test]
    fn now_is_after_the_day_this_was_written() {
        assert!(Moment::now() > Moment::committed(800_000_000_000_000));
    }
}

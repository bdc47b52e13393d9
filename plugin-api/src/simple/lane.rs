//! The name of a lane within a target.

use std::fmt::Write as _;

use crate::StreamId;

/// `SYNC.SOURCE`: different for different streams, and of characters that every file system and
/// every key takes. Names from a config stay as they are.
pub(super) fn lane(stream: &StreamId) -> String {
    let mut lane = String::new();
    escape(&stream.sync, &mut lane);
    lane.push('.');
    escape(&stream.source, &mut lane);
    lane
}

fn escape(name: &str, lane: &mut String) {
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => lane.push(char::from(byte)),
            _ => {
                // A string takes everything.
                let _ = write!(lane, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_told_apart_and_are_file_names() {
        let lane = |sync: &str, source: &str| {
            lane(&StreamId {
                sync: sync.to_owned(),
                source: source.to_owned(),
                ..StreamId::default()
            })
        };
        assert_eq!(lane("shop_1", "main"), "shop_1.main");
        assert_ne!(lane("a.b", "c"), lane("a", "b.c"));
        assert_ne!(lane("a%2E", "c"), lane("a.", "c"));
        assert_eq!(lane("../é", "m"), "%2E%2E%2F%C3%A9.m");
    }
}

//! Maps with keys of several fields, stored as lists of pairs: JSON's own maps have text keys only.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Key, key::KeyMap};

pub(super) fn serialize<V, S>(map: &KeyMap<V>, serializer: S) -> Result<S::Ok, S::Error>
where
    V: Serialize,
    S: Serializer,
{
    serializer.collect_seq(map)
}

pub(super) fn deserialize<'de, V, D>(deserializer: D) -> Result<KeyMap<V>, D::Error>
where
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let pairs = Vec::<(Key, V)>::deserialize(deserializer)?;
    Ok(pairs.into_iter().collect())
}

//! A plugin's options, from TOML to the JSON that plugins read.

use serde_json::{Map, Number, Value};
use toml::de::DeValue;

use super::{document::Section, node::Node};

/// The section as JSON, variables expanded. Dates become strings as written; what JSON can't
/// hold is a fault.
pub(super) fn options(section: &Section<'_>) -> Map<String, Value> {
    section
        .nodes()
        .filter_map(|(key, node)| Some((key, json(&node)?)))
        .collect()
}

fn json(node: &Node<'_>) -> Option<Value> {
    Some(match node.value {
        // Unlike other strings, an option may be empty: its meaning is the plugin's.
        DeValue::String(raw) => Value::String(node.expand(raw)?),
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.into(),
            Err(_) => {
                node.fault("is a number beyond 64 bits");
                return None;
            }
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => {
                node.fault("is not a finite number");
                return None;
            }
        },
        DeValue::Array(_) => Value::Array(node.items("values")?.iter().filter_map(json).collect()),
        DeValue::Table(_) => Value::Object(options(&node.section()?)),
    })
}

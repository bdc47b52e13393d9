//! A plugin's options, in words.

use serde_json::{Map, Value};

use super::wrap;

/// The options of a JSON Schema, those that must be given first.
pub(super) fn lines(schema: &Value) -> Vec<String> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut lines = Vec::new();
    let is_required = |name: &String| required.contains(&name.as_str());
    let (first, then): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(name, _)| is_required(name));
    for (name, option) in first.into_iter().chain(then) {
        let default = match &option["default"] {
            _ if is_required(name) => "required".to_owned(),
            Value::Null => "optional".to_owned(),
            default => format!("default {default}"),
        };
        lines.push(format!("{name}: {}, {default}", kind(schema, option)));
        let text = option["description"].as_str().unwrap_or_default();
        let unwrapped = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "));
        for paragraph in unwrapped.filter(|paragraph| !paragraph.is_empty()) {
            lines.extend(wrap(&paragraph, 90).map(|line| format!("    {line}")));
        }
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    lines
}

/// What an option's values are, in a word or as the list of them.
fn kind(schema: &Value, option: &Value) -> String {
    if let Some(path) = option["$ref"].as_str() {
        let referred = schema.pointer(path.trim_start_matches('#'));
        return referred.map_or_else(|| "value".to_owned(), |referred| kind(schema, referred));
    }
    if let Value::Array(values) = &option["enum"] {
        return join(values.iter().map(Value::to_string));
    }
    if !option["const"].is_null() {
        return option["const"].to_string();
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        if let Value::Array(choices) = &option[several] {
            return join(choices.iter().map(|choice| kind(schema, choice)));
        }
    }
    match &option["type"] {
        Value::Array(types) => join(types.iter().map(|name| type_name(name, option))),
        name => type_name(name, option),
    }
}

fn type_name(name: &Value, option: &Value) -> String {
    match (name.as_str(), &option["items"]) {
        (Some("array"), items) if !items.is_null() => {
            format!("list of {}", items["type"].as_str().unwrap_or("value"))
        }
        (Some("object"), _) => "table".to_owned(),
        (Some(name), _) => name.to_owned(),
        (None, _) => "value".to_owned(),
    }
}

/// The choices; that an option may be absent is no choice.
fn join(choices: impl Iterator<Item = String>) -> String {
    let choices: Vec<_> = choices.filter(|choice| choice != "null").collect();
    choices.join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn options_show_type_default_and_meaning_and_required_ones_come_first() {
        let schema = json!({
            "properties": {
                "format": { "description": "What a row\nbecomes.", "$ref": "#/$defs/Format", "default": "hash" },
                "ttl": { "anyOf": [{ "$ref": "#/$defs/Span" }, { "type": "null" }] },
                "url": { "type": "string", "description": "Where it is." },
                "wait": { "type": ["integer", "null"], "default": null },
            },
            "required": ["url"],
            "$defs": {
                "Format": { "oneOf": [{ "const": "hash" }, { "const": "json" }] },
                "Span": { "type": "string" },
            },
        });
        assert_eq!(
            lines(&schema),
            [
                "url: string, required",
                "    Where it is.",
                "format: \"hash\" or \"json\", default \"hash\"",
                "    What a row becomes.",
                "ttl: string, optional",
                "wait: integer, optional",
            ]
        );
        assert_eq!(lines(&json!({ "type": "object" })), ["none"]);
    }
}

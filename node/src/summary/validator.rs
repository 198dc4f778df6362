//! As much of JSON Schema (draft 2020-12) as the committed schema uses, to check documents by it.

use serde_json::Value;

/// Every keyword that says nothing about a document, or that is checked below.
const KNOWN: [&str; 17] = [
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "format",
    "items",
    "maximum",
    "minimum",
    "oneOf",
    "properties",
    "required",
    "title",
    "type",
    "default",
];

/// What is wrong with `document` by the schema `root`, `None` if nothing is.
///
/// # Panics
/// If the schema has a keyword that is not checked here.
pub(super) fn complaint(root: &Value, document: &Value) -> Option<String> {
    check(root, root, document, "")
}

fn check(root: &Value, schema: &Value, document: &Value, at: &str) -> Option<String> {
    let keywords = schema.as_object().unwrap();
    let unknown = keywords.keys().find(|keyword| !KNOWN.contains(&keyword.as_str()));
    assert_eq!(unknown, None, "a keyword that is not checked");
    let complain = |what: &str| Some(format!("{at}: {what}"));
    if let Some(target) = schema["$ref"].as_str() {
        let target = root.pointer(target.strip_prefix('#').unwrap()).unwrap();
        return check(root, target, document, at);
    }
    if keywords.contains_key("type") && !has_type(&schema["type"], document) {
        return complain("the wrong type");
    }
    if keywords.get("const").is_some_and(|only| only != document) {
        return complain("another value than the only one allowed");
    }
    if schema["minimum"].as_f64() > document.as_f64() && document.is_number() {
        return complain("below the minimum");
    }
    if schema["maximum"].as_f64().is_some_and(|most| document.as_f64() > Some(most)) {
        return complain("above the maximum");
    }
    for (keyword, most) in [("anyOf", usize::MAX), ("oneOf", 1)] {
        let Some(options) = schema[keyword].as_array() else { continue };
        let fits = |option: &&Value| check(root, option, document, at).is_none();
        if !(1..=most).contains(&options.iter().filter(fits).count()) {
            return complain(keyword);
        }
    }
    let parts = document.as_array().into_iter().flatten().enumerate();
    let items = parts.filter(|_| schema["items"].is_object());
    items
        .map(|(place, part)| check(root, &schema["items"], part, &format!("{at}/{place}")))
        .find(Option::is_some)
        .flatten()
        .or_else(|| check_members(root, schema, document, at))
}

fn check_members(root: &Value, schema: &Value, document: &Value, at: &str) -> Option<String> {
    let members = document.as_object()?;
    for name in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(name.as_str().unwrap()) {
            return Some(format!("{at}: no {name}"));
        }
    }
    members.iter().find_map(|(name, value)| match schema["properties"].get(name) {
        Some(schema) => check(root, schema, value, &format!("{at}/{name}")),
        None if schema["additionalProperties"] == false => Some(format!("{at}: unknown {name}")),
        None => None,
    })
}

fn has_type(types: &Value, document: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => document.is_null(),
        "boolean" => document.is_boolean(),
        "integer" => document.is_i64() || document.is_u64(),
        "number" => document.is_number(),
        "string" => document.is_string(),
        "array" => document.is_array(),
        "object" => document.is_object(),
        other => panic!("unknown type {other}"),
    };
    types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
}

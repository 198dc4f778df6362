//! `"name"` or `{ name = { parameters } }`, for choices with parameters.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One of several named alternatives. A bare name stands for the alternative with its default
/// parameters, so `"fedprox"` and `{ fedprox = {} }` are the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice<T>(pub T);

impl<T: Serialize> Serialize for Choice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor(PhantomData)).map(Self)
    }
}

struct ChoiceVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ChoiceVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a table { name = { parameters } }")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<T, E> {
        let plain: StrDeserializer<'_, E> = name.into_deserializer();
        T::deserialize(plain).or_else(|unknown| {
            let defaults = serde_json::json!({ name: {} });
            T::deserialize(defaults).map_err(|missing| match missing.to_string() {
                missing if missing.starts_with("missing field") => {
                    E::custom(format!("`{name}` has parameters: {missing}"))
                }
                _ => unknown,
            })
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<T> JsonSchema for Choice<T> {
    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name, or a table { name = { parameters } }.",
            "oneOf": [
                { "type": "string" },
                { "type": "object", "minProperties": 1, "maxProperties": 1 }
            ]
        })
    }
}

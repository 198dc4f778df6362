//! Real objects of SEAL and TenSEAL, hostile ones, and random ones.

mod hostile;
mod samples;
mod tenseal;

use serde_json::Value;

/// What is known of the samples.
pub(crate) fn expected() -> Value {
    serde_json::from_str(include_str!("../../../../../../vectors/seal/expected.json")).unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    pairs.iter().map(|pair| byte(pair).unwrap()).collect()
}

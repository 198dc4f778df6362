use std::sync::LazyLock;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use tfhe::Seed;
use tfhe::core_crypto::commons::math::random::CompressionSeed;

use super::*;

/// Two trees whose votes tie for some rows; five classes, so that an answer has two digits.
fn forest(trees: &Value) -> Forest {
    let feature = |name| json!({ "name": name, "low": 0.0, "high": 255.0 });
    let forest = json!({
        "version": 1,
        "form": {
            "features": [feature("x"), feature("y")],
            "label": "z",
            "classes": ["a", "b", "c", "d", "e"],
        },
        "trees": trees,
    });
    Forest::read(&serde_json::to_vec(&forest).unwrap()).unwrap()
}

fn leaf(class: usize) -> Value {
    json!({ "leaf": { "class": class } })
}

fn split(feature: usize, above: u8, no: usize, yes: usize) -> Value {
    json!({ "split": { "feature": feature, "above": above, "no": no, "yes": yes } })
}

fn two_trees() -> Forest {
    let deep = [split(0, 99, 1, 4), split(1, 7, 2, 3), leaf(4), leaf(1), leaf(0)];
    let flat = [split(1, 7, 1, 2), leaf(0), leaf(1)];
    forest(&json!([{ "nodes": deep }, { "nodes": flat }]))
}

/// A client and its keys: they take seconds to make.
static CLIENT: LazyLock<(ForestClient, Vec<u8>)> = LazyLock::new(|| {
    let form = two_trees().form().clone();
    let client = ForestClient::new(form, &mut ChaCha12Rng::seed_from_u64(1)).unwrap();
    let keys = client.keys().unwrap();
    (client, keys)
});

fn question(row: &[u8]) -> Vec<u8> {
    CLIENT.0.question(row, &mut ChaCha12Rng::seed_from_u64(2)).unwrap()
}

#[test]
fn encrypted_rows_are_answered_as_in_the_clear() {
    let (client, keys) = &*CLIENT;
    let forest = two_trees();
    let server = ForestServer::new(forest.clone(), keys).unwrap();
    // a and e with a vote each, b with two, a with two, a and b with a vote each.
    for (row, class) in [([99, 7], 0), ([99, 8], 1), ([100, 0], 0), ([255, 255], 0)] {
        let answer = server.answer(&question(&row)).unwrap();
        assert_eq!(client.class(&answer).unwrap(), class, "{row:?}");
        assert_eq!(forest.predict(&row).unwrap(), class, "{row:?}");
    }
    let short = client.question(&[1], &mut ChaCha12Rng::seed_from_u64(2));
    assert!(matches!(short, Err(ForestError::Width { got: 1, needed: 2 })));
}

#[test]
fn constant_forests_answer_too() {
    let (client, keys) = &*CLIENT;
    let server = ForestServer::new(forest(&json!([{ "nodes": [leaf(4)] }])), keys).unwrap();
    let answer = server.answer(&question(&[0, 255])).unwrap();
    assert_eq!(client.class(&answer).unwrap(), 4);
}

#[test]
fn damaged_messages_are_refused() {
    let (client, keys) = &*CLIENT;
    let refused = |keys: &[u8]| ForestServer::new(two_trees(), keys).is_err();
    assert!(refused(&[]) && refused(b"no key") && refused(&keys[..keys.len() - 1]));
    assert!(refused(&[keys, &[0][..]].concat()));
    let large = ForestServer::new(two_trees(), &vec![0; KEY_BYTES + 1]);
    assert!(matches!(large, Err(ForestError::Bytes { what: "keys", .. })));

    let server = ForestServer::new(two_trees(), keys).unwrap();
    let question = question(&[1, 2]);
    let refused = |question: &[u8]| server.answer(question).is_err();
    assert!(refused(&[]) && refused(&question[1..]) && refused(&question[..question.len() / 2]));
    assert!(refused(&[&question[..], &question].concat()) && refused(keys));
    assert!(matches!(server.answer(&[0]), Err(ForestError::Bytes { got: 1, limit: 80, .. })));
    let answer = server.answer(&question).unwrap();
    let refused = |answer: &[u8]| client.class(answer).is_err();
    assert!(refused(&[]) && refused(&question) && refused(&answer[..answer.len() - 1]));
    assert!(refused(&[&answer[..], &answer].concat()));

    // Whatever byte is another is refused, or is another ciphertext or key: nothing panics.
    for at in 0..question.len() {
        let mut question = question.clone();
        question[at] ^= 1 << (at % 8);
        assert_eq!(wire::read_row(&question, 2).unwrap().len(), 2);
    }
    for at in (0..answer.len()).step_by(61).chain(0..400) {
        let mut answer = answer.clone();
        answer[at] ^= 1 << (at % 8);
        let _ = client.class(&answer);
    }
}

#[test]
fn damaged_keys_are_refused_or_others() {
    let (_, keys) = &*CLIENT;
    // What keys say of themselves is at both ends; between are numbers.
    for at in (0..300).step_by(25).chain((keys.len() - 160..keys.len()).step_by(8)) {
        let mut keys = keys.clone();
        keys[at] ^= 1 << (at % 8);
        let _ = wire::read_keys(&keys);
    }
    // A seed that begins elsewhere than at the first byte of the first block.
    let usual = serde_json::to_value(CompressionSeed::from(Seed(7))).unwrap();
    let seed = |value: &Value| serde_json::from_value::<CompressionSeed>(value.clone()).unwrap();
    assert!(wire::is_usual(&seed(&usual)));
    for (place, value) in [("byte_index", 16), ("byte_index", 1), ("aes_index", 1)] {
        let mut other = usual.clone();
        other["inner"]["first_index"][place] = json!(value);
        assert!(!wire::is_usual(&seed(&other)), "{place} {value}");
    }
}

#[test]
fn numbers_take_as_many_digits_as_they_need() {
    let got = [0, 1, 3, 4, 15, 16, 63].map(digits);
    assert_eq!(got, [1, 1, 1, 2, 2, 3, 3]);
}

//! Every target, on valid and on damaged bytes.

use fuzz::{Mutator, TARGETS, corpus};
use nexus_types::peek_tag;

/// Damaged inputs per target; state machines are slower than decoders, and objects of SEAL larger.
const DECODERS: usize = 400;
const MACHINES: usize = 40;
const READERS: usize = 200;

#[test]
fn every_target_has_valid_bytes_and_takes_them() {
    let corpus = corpus().unwrap();
    for target in TARGETS {
        let inputs = corpus.get(target.name).unwrap_or_else(|| panic!("{}: none", target.name));
        for input in inputs {
            (target.run)(input);
        }
        if target.name.starts_with("nexus/") {
            let tag = Some(nexus_types::tag_of(target.name));
            assert!(inputs.iter().all(|input| peek_tag(input) == tag), "{}", target.name);
        }
    }
    let known = |name: &&str| TARGETS.iter().any(|target| target.name == *name);
    assert!(corpus.keys().all(known), "bytes for a target that is none");
}

#[test]
fn damaged_bytes_break_no_promise() {
    let corpus = corpus().unwrap();
    for target in TARGETS {
        let inputs = &corpus[target.name];
        let mut mutator = Mutator::new(1);
        let count = match target.name {
            name if name.starts_with("nexus/") => DECODERS,
            name if name.starts_with("seal ") || name.starts_with("tenseal ") => READERS,
            _ => MACHINES,
        };
        for _ in 0..count {
            (target.run)(&mutator.next(inputs));
        }
    }
}

//! Any target: the first byte chooses it, the rest is its input.

#![no_main]

use fuzz::TARGETS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((choice, input)) = data.split_first() {
        if let Some(target) = TARGETS.get(usize::from(*choice)) {
            (target.run)(input);
        }
    }
});

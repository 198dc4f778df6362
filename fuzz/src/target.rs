//! What is run on hostile bytes.

use nexus_he::circuit;
use nexus_inference::Description;
use nexus_learning::encrypted;
use nexus_mpc::aggregation::{nx, secagg_plus};
use nexus_mpc::psi;
use nexus_mpc::quantise::wide;
use nexus_mpc::threshold::{self, release, tdh2};
use nexus_training::{Answer, JobTerms, Manifest, MemberAnswer, MemberTask, SumRecord, Task};
use nexus_types::{Canonical, tag_of};

use crate::{he, machines};

/// Something that reads bytes of others.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; for a decoder the domain of its type.
    pub name: &'static str,
    /// Reads the bytes, and panics if that breaks a promise.
    pub run: fn(&[u8]),
}

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// All targets.
pub const TARGETS: &[Target] = &[
    decoder::<Task>(),
    decoder::<Answer>(),
    decoder::<JobTerms>(),
    decoder::<Manifest>(),
    decoder::<SumRecord>(),
    decoder::<MemberTask>(),
    decoder::<MemberAnswer>(),
    decoder::<nx::Terms>(),
    decoder::<nx::Header>(),
    decoder::<nx::Contribution>(),
    decoder::<nx::Delivery>(),
    decoder::<nx::Verdict>(),
    decoder::<nx::Proposal>(),
    decoder::<nx::Vote>(),
    decoder::<nx::Certificate>(),
    decoder::<nx::SumShares>(),
    decoder::<nx::Opening>(),
    decoder::<nx::Reminder>(),
    decoder::<nx::PacketKeyStatement>(),
    decoder::<nx::Transcript>(),
    decoder::<secagg_plus::Terms>(),
    decoder::<threshold::GroupKey>(),
    decoder::<threshold::KeyShare>(),
    decoder::<threshold::Confirmation>(),
    decoder::<threshold::Certificate>(),
    decoder::<threshold::Statement>(),
    decoder::<threshold::Post>(),
    decoder::<tdh2::Label>(),
    decoder::<tdh2::Record>(),
    decoder::<release::Grant>(),
    decoder::<release::Partial>(),
    decoder::<psi::Terms>(),
    decoder::<psi::ToSender>(),
    decoder::<psi::ToReceiver>(),
    decoder::<circuit::Terms>(),
    decoder::<circuit::Outline>(),
    decoder::<encrypted::Terms>(),
    decoder::<Description>(),
    Target { name: "nx describe", run: describe_nx },
    Target { name: "nx audit", run: audit },
    Target { name: "secagg+ describe", run: describe_secagg },
    Target { name: "wide sums", run: wide_sums },
    Target { name: "nx parties", run: machines::nx_parties },
    Target { name: "nx snapshots", run: machines::nx_snapshots },
    Target { name: "secagg+ parties", run: machines::secagg_parties },
    Target { name: "secagg+ snapshots", run: machines::secagg_snapshots },
    Target { name: "psi parties", run: machines::psi_parties },
    Target { name: "threshold parties", run: machines::threshold_parties },
    Target { name: "training parties", run: machines::training_parties },
    Target { name: "training snapshots", run: machines::training_snapshots },
    Target { name: "seal parameters", run: he::parameters },
    Target { name: "seal ciphertexts", run: he::ciphertexts },
    Target { name: "seal plaintexts", run: he::plaintexts },
    Target { name: "seal secret keys", run: he::secret_keys },
    Target { name: "seal public keys", run: he::public_keys },
    Target { name: "seal relinearisation keys", run: he::relinearisation_keys },
    Target { name: "seal Galois keys", run: he::galois_keys },
    Target { name: "tenseal contexts", run: he::contexts },
    Target { name: "tenseal vectors", run: he::vectors },
    Target { name: "inference keys", run: he::keys },
    Target { name: "inference questions", run: he::questions },
    Target { name: "inference answers", run: he::answers },
    Target { name: "inference descriptions", run: he::descriptions },
    Target { name: "inference outlines", run: he::outlines },
    Target { name: "inference weights", run: he::weights },
    Target { name: "encrypted training questions", run: he::training_questions },
    Target { name: "encrypted training answers", run: he::training_answers },
];

const fn decoder<T: Canonical>() -> Target {
    Target { name: T::DOMAIN, run: decode::<T> }
}

/// Decodes the bytes as they are, and as the payload behind a right header, which a fuzzer would
/// be long in guessing.
fn decode<T: Canonical>(bytes: &[u8]) {
    round_trip::<T>(bytes);
    let framed = [&[T::VERSION], &tag_of(T::DOMAIN)[..], bytes].concat();
    round_trip::<T>(&framed);
}

fn round_trip<T: Canonical>(bytes: &[u8]) {
    if let Ok(value) = T::decode(bytes) {
        let again = value.encode().is_ok_and(|encoded| encoded == bytes);
        assert!(again, "{}: a value with two encodings", T::DOMAIN);
    }
}

fn describe_nx(bytes: &[u8]) {
    if let Some(Ok(description)) = nx::describe(bytes) {
        assert!(!description.title.is_empty());
    }
}

fn describe_secagg(bytes: &[u8]) {
    if let Some(Ok(description)) = secagg_plus::describe(bytes) {
        assert!(!description.title.is_empty());
    }
}

fn audit(bytes: &[u8]) {
    if let Ok(transcript) = nx::Transcript::decode(bytes) {
        drop(nx::audit(&transcript));
    }
}

/// The first eight bytes are the limit, the rest sums of digits.
fn wide_sums(bytes: &[u8]) {
    let (words, _) = bytes.as_chunks();
    let mut words = words.iter().map(|word| i64::from_le_bytes(*word));
    let limit = words.next().unwrap_or_default();
    let sums: Vec<i64> = words.collect();
    if let Ok(value) = wide::decode(&sums, limit) {
        assert!(value.is_finite());
        assert!(wide::limbs(limit).is_ok_and(|limbs| limbs == sums.len()));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use borsh::BorshSerialize;
    use borsh::io::{Read, Result, Write};

    use super::*;

    /// A flag that takes every byte for true but 0.
    struct Sloppy(bool);

    impl BorshSerialize for Sloppy {
        fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
            self.0.serialize(writer)
        }
    }

    impl borsh::BorshDeserialize for Sloppy {
        fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
            u8::deserialize_reader(reader).map(|byte| Self(byte != 0))
        }
    }

    impl Canonical for Sloppy {
        const DOMAIN: &'static str = "nexus/test/sloppy";
        const VERSION: u8 = 1;
        const MAX_BYTES: usize = 16;
    }

    #[test]
    fn a_sloppy_decoder_is_found() {
        let target = decoder::<Sloppy>();
        (target.run)(&[1]);
        assert!(catch_unwind(|| (target.run)(&[2])).is_err());
    }

    #[test]
    fn names_are_unique() {
        for (index, target) in TARGETS.iter().enumerate() {
            assert!(TARGETS[..index].iter().all(|other| other.name != target.name));
        }
    }
}

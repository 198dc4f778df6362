//! Private set intersections of three items.

use nexus_mpc::psi::{Outcome, PsiError, PsiKey, Receiver, Sender, Terms, Variant};
use nexus_types::{Canonical, Digest};

use super::{Made, rng};

pub(crate) const VARIANTS: [Variant; 3] =
    [Variant::Intersection, Variant::Cardinality, Variant::Sum { max_total: 100 }];

/// Runs one, and calls `show` with each message before it is delivered; stops without an outcome
/// where that says so.
pub(crate) fn run(
    variant: Variant,
    mut show: impl FnMut(&[u8], &mut Receiver, &mut Sender) -> bool,
) -> Result<Option<Outcome>, PsiError> {
    let mut rng = rng(1);
    let terms = terms(variant);
    let (a, b) = (PsiKey::from_secret([1; 32]), PsiKey::from_secret([2; 32]));
    let mut receiver = Receiver::new(terms, &a, ["a", "b", "c"])?;
    let mut sender = match variant {
        Variant::Intersection | Variant::Cardinality => Sender::new(terms, &b, ["b", "d"])?,
        Variant::Sum { .. } => Sender::with_amounts(terms, &b, ["b", "d"], &[3, 4], &mut rng)?,
    };
    while let Some(message) = receiver.send(&mut rng)? {
        if !show(&message, &mut receiver, &mut sender) {
            return Ok(None);
        }
        sender.receive(&message)?;
        while let Some(answer) = sender.send(&mut rng)? {
            if !show(&answer, &mut receiver, &mut sender) {
                return Ok(None);
            }
            receiver.receive(&answer)?;
        }
    }
    Ok(receiver.outcome().cloned())
}

fn terms(variant: Variant) -> Terms {
    Terms { manifest: Digest([3; 32]), variant, max_items: 9 }
}

pub(crate) fn messages() -> Made<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    for variant in VARIANTS {
        messages.push(terms(variant).encode()?);
        run(variant, |message, _, _| {
            messages.push(message.to_vec());
            true
        })?;
    }
    Ok(messages)
}

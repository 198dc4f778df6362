//! A secure sum with a committee: all parties in one place, each step apart so that it can be
//! timed.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_mpc::Identity;
use nexus_mpc::aggregation::nx::{
    Acceptance, Collector, Member, MemberEffect, MemberKeys, Owner, Packing, Terms,
};
use nexus_mpc::aggregation::{
    Collector as _, Contributor as _, Opened, Outgoing, Peer, Progress, Refusal, Session, SumError,
};
use nexus_types::{Digest, MemberId, OwnerId, Rng};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// Why a sum cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SumBenchError {
    /// There is no sum.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// A party refused a message of another.
    #[error("a party {0}")]
    Refusal(#[from] Refusal),
}

/// How large a sum is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Owners asked.
    pub owners: u32,
    /// Integers per owner.
    pub values: u32,
    /// Integers per coefficient of the mask.
    pub packing: u8,
    /// Members of the committee.
    pub members: u16,
}

/// All parties of one sum.
#[derive(Debug)]
pub struct SecureSum {
    session: Session,
    terms: Arc<Terms>,
    identities: Vec<Arc<Identity>>,
    members: Vec<Member>,
    /// The coordinator's part.
    pub collector: Collector,
    rng: ChaCha12Rng,
}

impl SecureSum {
    /// Owners and a committee with its keys.
    ///
    /// # Errors
    /// [`SumBenchError`] if the size is impossible.
    pub fn new(size: Size) -> Result<Self, SumBenchError> {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let packing = Packing::by_name(size.owners, size.packing, Acceptance::Honest)?;
        let mut identity = || Arc::new(Identity::generate(&mut rng));
        let identities: Vec<_> = (0..size.owners).map(|_| identity()).collect();
        let signers: Vec<_> = (0..size.members).map(|_| identity()).collect();
        let (mut members, mut keys) = (Vec::new(), Vec::new());
        for (id, identity) in MemberId::all(size.members).zip(signers) {
            let public = identity.public();
            let mut member = Member::new(Digest::of("bench", b"job"), id, identity);
            member.publish(&mut rng, 0, 1)?;
            keys.push(MemberKeys { identity: public, packet: member.packet_key(0) });
            members.push(member);
        }
        let owners = OwnerId::all(size.owners).zip(&identities);
        let owners: BTreeMap<_, _> = owners.map(|(id, owner)| (id, owner.public())).collect();
        let manifest = Digest::of("bench", b"manifest");
        let session = Session { manifest, owners: Arc::new(owners), n_min: 2, values: size.values };
        let terms = Terms { packing, members: keys, slot: 0, keep_messages: false, leaves: 1 };
        let terms = Arc::new(terms);
        for member in &mut members {
            member.open(session.clone(), Arc::clone(&terms))?;
        }
        let collector = Collector::new(session.clone(), Arc::clone(&terms))?;
        Ok(Self { session, terms, identities, members, collector, rng })
    }

    /// An owner's values: random, within the limit.
    pub fn values(&mut self) -> Vec<i64> {
        let limit = self.terms.packing.limit();
        let modulus = 2 * limit.unsigned_abs() + 1;
        let mut value = || (self.rng.next_u64() % modulus).cast_signed() - limit;
        (0..self.session.values).map(|_| value()).collect()
    }

    /// An owner's message.
    ///
    /// # Errors
    /// [`SumBenchError`] if a value is too large.
    pub fn contribute(&mut self, id: OwnerId, values: &[i64]) -> Result<Arc<[u8]>, SumBenchError> {
        let identity = Arc::clone(&self.identities[id.index()]);
        let mut owner = Owner::new(self.session.clone(), Arc::clone(&self.terms), id, identity)?;
        Ok(owner.contribute(&mut self.rng, values)?)
    }

    /// What the members say to what the coordinator sent them.
    ///
    /// # Errors
    /// [`SumBenchError`] if a member refuses a message.
    pub fn members(&mut self, messages: &[Outgoing]) -> Result<Vec<Outgoing>, SumBenchError> {
        let mut replies = Vec::new();
        for Outgoing { to, message } in messages {
            let Peer::Member(id) = *to else { continue };
            for effect in self.members[id.index()].receive(message)? {
                if let MemberEffect::Send(message) = effect {
                    replies.push(Outgoing { to: *to, message });
                }
            }
        }
        Ok(replies)
    }

    /// The coordinator gets the members' replies.
    ///
    /// # Errors
    /// [`SumBenchError`] if it refuses one.
    pub fn replies(&mut self, replies: &[Outgoing]) -> Result<(), SumBenchError> {
        for Outgoing { to, message } in replies {
            self.collector.receive(*to, message)?;
        }
        Ok(())
    }

    /// The coordinator gets an owner's message, in a buffer of its own as from a network.
    ///
    /// # Errors
    /// [`SumBenchError`] if it refuses it.
    pub fn arrive(
        &mut self,
        id: OwnerId,
        message: Vec<u8>,
    ) -> Result<Vec<Outgoing>, SumBenchError> {
        Ok(self.collector.receive_owned(Peer::Owner(id), message)?)
    }

    /// Ends a phase.
    ///
    /// # Errors
    /// [`SumBenchError`] if the sum cannot go on.
    pub fn close(&mut self) -> Result<Vec<Outgoing>, SumBenchError> {
        match self.collector.close()? {
            Progress::Continue(messages) => Ok(messages),
            Progress::Done(_) => Err(SumError::OutOfTurn.into()),
        }
    }

    /// An owner's message goes to the coordinator, its packets to the members, and their verdicts
    /// back.
    ///
    /// # Errors
    /// [`SumBenchError`] if anybody refuses anything.
    pub fn accept(&mut self, id: OwnerId, message: &[u8]) -> Result<(), SumBenchError> {
        let packets = self.collector.receive(Peer::Owner(id), message)?;
        let verdicts = self.members(&packets)?;
        self.replies(&verdicts)
    }

    /// Votes and answers: all that is left is to open the sum.
    ///
    /// # Errors
    /// [`SumBenchError`] if anybody refuses anything.
    pub fn certify(&mut self) -> Result<(), SumBenchError> {
        for _ in 0..2 {
            let messages = self.close()?;
            let replies = self.members(&messages)?;
            self.replies(&replies)?;
        }
        Ok(())
    }

    /// Opens the sum.
    ///
    /// # Errors
    /// [`SumBenchError`] if there is none.
    pub fn open(collector: &mut Collector) -> Result<Opened, SumBenchError> {
        match collector.close()? {
            Progress::Done(opened) => Ok(opened),
            Progress::Continue(_) => Err(SumError::OutOfTurn.into()),
        }
    }
}

//! The engines of a sum, behind one face.

use std::sync::Arc;

use nexus_mpc::Identity;
use nexus_mpc::aggregation::{
    Collector as _, Contributor as _, Outgoing, Peer, Progress, Refusal, SumError, nx, secagg_plus,
};
use nexus_types::{CryptoRng, Digest, OwnerId};

use super::kept::Keep;
use super::manifest::Manifest;
use super::terms::JobTerms;
use crate::error::TrainingError;

/// The coordinator's part of a sum.
#[derive(Clone, Debug)]
pub(crate) enum Collector {
    Nx(Box<nx::Collector>),
    SecAggPlus(Box<secagg_plus::Collector>),
}

/// An owner's part of a sum.
#[derive(Clone, Debug)]
pub(crate) enum Contributor {
    Nx(Box<nx::Owner>),
    SecAggPlus(Box<secagg_plus::Owner>),
}

/// Calls the engine, whichever it is.
macro_rules! either {
    ($self:ident, $machine:ident => $call:expr) => {
        match $self {
            Self::Nx($machine) => $call,
            Self::SecAggPlus($machine) => $call,
        }
    };
}

impl Collector {
    /// The collector of the sum that `manifest` describes, new or as `saved`.
    pub(crate) fn open(
        terms: &JobTerms,
        manifest: &Manifest,
        digest: Digest,
        saved: Option<&[u8]>,
    ) -> Result<Self, TrainingError> {
        let session = manifest.session(terms, digest);
        if let Some(terms) = manifest.nx_terms(terms)? {
            let terms = Arc::new(terms);
            return Ok(Self::Nx(Box::new(match saved {
                None => nx::Collector::new(session, terms)?,
                Some(bytes) => nx::Collector::restore(session, terms, bytes)?,
            })));
        }
        let terms = terms.engine.pairwise()?;
        Ok(Self::SecAggPlus(Box::new(match saved {
            None => secagg_plus::Collector::new(session, terms)?,
            Some(bytes) => secagg_plus::Collector::restore(session, terms, bytes)?,
        })))
    }

    pub(crate) fn receive(&mut self, from: Peer, bytes: Vec<u8>) -> Result<Vec<Outgoing>, Refusal> {
        either!(self, machine => machine.receive_owned(from, bytes))
    }

    pub(crate) fn waiting(&self) -> Vec<Peer> {
        either!(self, machine => machine.waiting())
    }

    pub(crate) fn repeat(&self) -> Vec<Outgoing> {
        either!(self, machine => machine.repeat())
    }

    pub(crate) fn close(&mut self) -> Result<Progress, SumError> {
        either!(self, machine => machine.close())
    }

    pub(crate) fn held_bytes(&self) -> usize {
        either!(self, machine => machine.held_bytes())
    }
}

impl Keep for Collector {
    fn snapshot(&self) -> Vec<u8> {
        either!(self, machine => machine.snapshot())
    }
}

impl Contributor {
    /// The part of `owner` in the sum that `manifest` describes, new or as `saved`.
    pub(crate) fn open(
        terms: &JobTerms,
        manifest: &Manifest,
        digest: Digest,
        owner: OwnerId,
        identity: &Arc<Identity>,
        saved: Option<&[u8]>,
    ) -> Result<Self, TrainingError> {
        let (session, identity) = (manifest.session(terms, digest), Arc::clone(identity));
        if let Some(terms) = manifest.nx_terms(terms)? {
            let terms = Arc::new(terms);
            return Ok(Self::Nx(Box::new(match saved {
                None => nx::Owner::new(session, terms, owner, identity)?,
                Some(bytes) => nx::Owner::restore(session, terms, owner, identity, bytes)?,
            })));
        }
        let terms = terms.engine.pairwise()?;
        Ok(Self::SecAggPlus(Box::new(match saved {
            None => secagg_plus::Owner::new(session, terms, owner, identity)?,
            Some(bytes) => secagg_plus::Owner::restore(session, terms, owner, identity, bytes)?,
        })))
    }

    pub(crate) fn contribute(
        &mut self,
        rng: &mut dyn CryptoRng,
        values: &[i64],
    ) -> Result<Arc<[u8]>, SumError> {
        either!(self, machine => machine.contribute(rng, values))
    }

    pub(crate) fn receive(
        &mut self,
        rng: &mut dyn CryptoRng,
        bytes: &[u8],
    ) -> Result<Option<Arc<[u8]>>, Refusal> {
        either!(self, machine => machine.receive(rng, bytes))
    }

    /// Whether this owner has sent what helps to open the sum.
    pub(crate) fn has_opened(&self) -> bool {
        match self {
            // The committee opens it.
            Self::Nx(_) => false,
            Self::SecAggPlus(machine) => machine.has_revealed(),
        }
    }
}

impl Keep for Contributor {
    fn snapshot(&self) -> Vec<u8> {
        either!(self, machine => machine.snapshot())
    }
}

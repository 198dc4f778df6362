//! What may leave.

use std::fmt;
use std::sync::Arc;

use super::label::Label;

mod sealed {
    pub trait Stage {}
}

/// What may be sent, stored, logged or reported. Nobody else can implement it.
pub trait Egress: sealed::Stage {
    /// Its label, for the header that is signed.
    fn label(&self) -> &Label;
}

/// A masked contribution to a secure sum: uniform to whoever lacks the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Masked {
    message: Arc<[u8]>,
    label: Arc<Label>,
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masked").field("bytes", &self.message.len()).finish_non_exhaustive()
    }
}

impl Masked {
    pub(super) const fn new(message: Arc<[u8]>, label: Arc<Label>) -> Self {
        Self { message, label }
    }

    /// The message.
    pub const fn message(&self) -> &Arc<[u8]> {
        &self.message
    }
}

/// What everyone may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released<T> {
    value: T,
    label: Arc<Label>,
}

/// A secure sum that has been opened: what protocols implement.
pub trait Opener {
    /// Why there is no sum.
    type Error;

    /// The sum of the contributions, if enough owners are in it.
    ///
    /// # Errors
    /// As the protocol says.
    fn open(&mut self) -> Result<Vec<i64>, Self::Error>;
}

impl<T> Released<T> {
    pub(super) const fn new(value: T, label: Arc<Label>) -> Self {
        Self { value, label }
    }

    /// What was released.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// What was released, without its label.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl Released<Vec<i64>> {
    /// The sum of masked contributions, whose label is `label`.
    ///
    /// # Errors
    /// Those of the opener.
    pub fn open<O: Opener>(opener: &mut O, label: &Label) -> Result<Self, O::Error> {
        Ok(Self::new(opener.open()?, Arc::new(label.declassified())))
    }
}

/// A ciphertext that is bound to its label.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    ciphertext: Arc<[u8]>,
    label: Arc<Label>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("bytes", &self.ciphertext.len()).finish_non_exhaustive()
    }
}

impl Sealed {
    pub(super) const fn new(ciphertext: Arc<[u8]>, label: Arc<Label>) -> Self {
        Self { ciphertext, label }
    }

    /// The ciphertext.
    pub const fn ciphertext(&self) -> &Arc<[u8]> {
        &self.ciphertext
    }
}

/// Authenticated encryption with associated data: what protocols implement.
pub trait Sealer {
    /// The ciphertext, bound to the associated bytes; `None` if there is none.
    fn seal(&mut self, plaintext: &[u8], associated: &[u8]) -> Option<Vec<u8>>;
}

impl sealed::Stage for Masked {}
impl<T> sealed::Stage for Released<T> {}
impl sealed::Stage for Sealed {}

impl Egress for Masked {
    fn label(&self) -> &Label {
        &self.label
    }
}

impl<T> Egress for Released<T> {
    fn label(&self) -> &Label {
        &self.label
    }
}

impl Egress for Sealed {
    fn label(&self) -> &Label {
        &self.label
    }
}

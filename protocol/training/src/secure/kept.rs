//! A machine of another crate inside a state: as bytes on the disk, alive in memory.

use std::{fmt, io};

use borsh::{BorshDeserialize, BorshSerialize};

/// A machine that can be put away.
pub(crate) trait Keep: Clone + std::fmt::Debug {
    /// Everything it knows.
    fn snapshot(&self) -> Vec<u8>;
}

/// A machine, or what remains of it after a restart until its owner wakes it.
#[derive(Clone)]
pub(crate) enum Kept<T> {
    Alive(T),
    Asleep(Vec<u8>),
}

impl<T> fmt::Debug for Kept<T> {
    /// Neither form is shown: both hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(..)")
    }
}

impl<T: Keep> Kept<T> {
    /// The machine, unless it sleeps.
    pub(crate) const fn alive(&mut self) -> Option<&mut T> {
        match self {
            Self::Alive(machine) => Some(machine),
            Self::Asleep(_) => None,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Alive(machine) => machine.snapshot(),
            Self::Asleep(bytes) => bytes.clone(),
        }
    }
}

impl<T: Keep> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl<T: Keep> BorshSerialize for Kept<T> {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.bytes().serialize(writer)
    }
}

impl<T> BorshDeserialize for Kept<T> {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Vec::deserialize_reader(reader).map(Self::Asleep)
    }
}

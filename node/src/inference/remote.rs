//! A server of models at the other end of HTTP. All that is said is signed, see [`super::signed`].

use std::time::Duration;

use nexus_inference::Description;
use nexus_mpc::{Identity, PublicKey};
use nexus_types::{Canonical, Digest};
use ureq::Agent;

use super::Answering;
use super::signed::{self, Kind, SignedError, context};
use crate::error::NodeError;
use crate::random::SystemRng;

/// From the question to the last byte of the answer.
const DEADLINE: Duration = Duration::from_mins(2);
/// Bytes of an answer: two polynomials of 32768 coefficients under a few moduli, and some.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// A server by its address.
#[derive(Debug)]
pub struct Remote {
    agent: Agent,
    url: String,
    /// Who asks: nobody that was there before.
    own: Identity,
    /// Who answers, from the first message on; known before if the user says so.
    server: Option<PublicKey>,
}

impl Remote {
    /// The server at `url`, such as `http://127.0.0.1:8090`, if it has that key.
    pub fn new(url: &str, server: Option<PublicKey>) -> Self {
        let config = Agent::config_builder().timeout_global(Some(DEADLINE)).build();
        let own = Identity::generate(&mut SystemRng::default());
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned(), own, server }
    }

    /// Whose answers they are, once something was said.
    pub const fn key(&self) -> Option<PublicKey> {
        self.server
    }

    fn signed(&self, kind: Kind, belongs_to: Digest, body: &[u8]) -> Result<Vec<u8>, NodeError> {
        let problem = |error: SignedError| error.to_string();
        let signed = signed::sign(&self.own, kind, belongs_to, body).map_err(problem);
        signed.map_err(|problem| NodeError::Server { url: self.url.clone(), problem })
    }

    /// The body of what the server said.
    fn opened(
        &mut self,
        message: &[u8],
        kind: Kind,
        belongs_to: Digest,
    ) -> Result<Vec<u8>, NodeError> {
        let problem = |problem: String| NodeError::Server { url: self.url.clone(), problem };
        let (key, body) =
            signed::open(message, kind, belongs_to).map_err(|error| problem(error.to_string()))?;
        if let Some(expected) = self.server.filter(|expected| *expected != key) {
            return Err(problem(format!("its key is {key}, not {expected}")));
        }
        self.server = Some(key);
        Ok(body)
    }

    fn problem(&self, error: &ureq::Error) -> NodeError {
        NodeError::Server { url: self.url.clone(), problem: error.to_string() }
    }

    fn read(&self, mut response: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, NodeError> {
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES);
        let bytes = body.read_to_vec().map_err(|error| self.problem(&error))?;
        if response.status().is_success() {
            return Ok(bytes);
        }
        let said = String::from_utf8_lossy(&bytes);
        let problem = format!("{}: {}", response.status(), said.trim());
        Err(NodeError::Server { url: self.url.clone(), problem })
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<Vec<u8>, NodeError> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.config().http_status_as_error(false).build();
        let response = request.send(body).map_err(|error| self.problem(&error))?;
        self.read(response)
    }
}

impl Answering for Remote {
    fn description(&mut self) -> Result<Description, NodeError> {
        let request = self.agent.get(format!("{}/v1/signed/description", self.url));
        let request = request.config().http_status_as_error(false).build();
        let response = request.call().map_err(|error| self.problem(&error))?;
        let message = self.read(response)?;
        let body = self.opened(&message, Kind::Description, context(b""))?;
        Ok(Description::decode(&body)?)
    }

    fn register(&mut self, keys: &[u8]) -> Result<Digest, NodeError> {
        let server = self.server.map_or(Digest([0; 32]), |key| context(&key.0));
        let message = self.signed(Kind::Keys, server, keys)?;
        let said = self.post("/v1/signed/keys", &message)?;
        let bytes = self.opened(&said, Kind::Name, context(&message))?;
        let name = <[u8; 32]>::try_from(bytes.as_slice());
        let problem = "keys are named by 32 bytes".to_owned();
        name.map(Digest).map_err(|_| NodeError::Server { url: self.url.clone(), problem })
    }

    fn answer(&mut self, keys: Digest, question: &[u8]) -> Result<Vec<u8>, NodeError> {
        let message = self.signed(Kind::Question, keys, question)?;
        let said = self.post(&format!("/v1/signed/answers/{keys}"), &message)?;
        self.opened(&said, Kind::Answer, context(&message))
    }
}

//! A server of models at the other end of HTTP.

use std::time::Duration;

use nexus_inference::Description;
use nexus_types::{Canonical, Digest};
use ureq::Agent;

use super::Answering;
use crate::error::NodeError;

/// From the question to the last byte of the answer.
const DEADLINE: Duration = Duration::from_mins(2);
/// Bytes of an answer: two polynomials of 32768 coefficients under a few moduli, and some.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// A server by its address.
#[derive(Debug)]
pub struct Remote {
    agent: Agent,
    url: String,
}

impl Remote {
    /// The server at `url`, such as `http://127.0.0.1:8090`.
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(DEADLINE)).build();
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned() }
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
        let request = self.agent.get(format!("{}/v1/description", self.url));
        let request = request.config().http_status_as_error(false).build();
        let response = request.call().map_err(|error| self.problem(&error))?;
        Ok(Description::decode(&self.read(response)?)?)
    }

    fn register(&mut self, keys: &[u8]) -> Result<Digest, NodeError> {
        let bytes = self.post("/v1/keys", keys)?;
        let name = <[u8; 32]>::try_from(bytes.as_slice());
        let problem = "keys are named by 32 bytes".to_owned();
        name.map(Digest).map_err(|_| NodeError::Server { url: self.url.clone(), problem })
    }

    fn answer(&mut self, keys: Digest, question: &[u8]) -> Result<Vec<u8>, NodeError> {
        self.post(&format!("/v1/answers/{keys}"), question)
    }
}

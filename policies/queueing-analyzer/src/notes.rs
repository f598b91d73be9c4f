//! Lines for the operator: few, and each says something that the numbers beside it do not.

use trimtab_models::model_name::ModelSize;
use trimtab_sdk::{Level, Note, Pool};

use crate::servers::Server;

#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

impl Notes {
    pub(crate) fn info(&mut self, variant: Option<u32>, text: impl Into<String>) {
        self.push(Level::Info, variant, text.into());
    }

    pub(crate) fn warning(&mut self, variant: Option<u32>, text: impl Into<String>) {
        self.push(Level::Warning, variant, text.into());
    }

    fn push(&mut self, level: Level, variant: Option<u32>, text: String) {
        self.0.push(Note {
            level,
            variant,
            text,
        });
    }

    /// What is odd about the pool itself.
    pub(crate) fn about_pool(&mut self, pool: &Pool, model: &ModelSize, servers: &[Server<'_>]) {
        let guessed = |server: &&Server<'_>| !server.known_live;
        if !model.recognised && servers.iter().any(|server| guessed(&server)) {
            let name = &pool.model;
            self.info(
                None,
                format!("{name}: the name tells no size, 8 billion parameters are assumed"),
            );
        }
        for server in servers {
            let at = Some(server.position);
            if !server.card_known && guessed(&server) {
                let name = &server.variant.accelerator;
                self.info(
                    at,
                    format!("{name}: not a known accelerator, speed of an A100 assumed at first"),
                );
            }
            if server.load.is_lopsided() {
                self.warning(at, server.load.hottest.to_string());
            }
            let (fresh, ready) = (server.load.fresh, server.load.ready);
            if fresh < ready {
                self.warning(
                    at,
                    format!("only {fresh} of {ready} replicas have fresh measurements"),
                );
            }
        }
    }

    pub(crate) fn into_list(self) -> Vec<Note> {
        self.0
    }
}

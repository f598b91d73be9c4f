//! The cluster's GPUs: which exist, and which a replica holds.

use trimtab_contract::Accelerator;

use crate::spec::Spec;

/// GPUs by accelerator; without an inventory there are always enough.
#[derive(Debug)]
pub(crate) struct Gpus<'a> {
    inventory: Option<Vec<Stock<'a>>>,
}

#[derive(Debug)]
struct Stock<'a> {
    accelerator: &'a str,
    total: u32,
    free: u32,
}

impl<'a> Gpus<'a> {
    pub(crate) fn new(spec: &'a Spec) -> Self {
        let stock = |(accelerator, total): &'a (String, u32)| Stock {
            accelerator,
            total: *total,
            free: *total,
        };
        let inventory = spec
            .inventory
            .as_ref()
            .map(|entries| entries.iter().map(stock).collect());
        Self { inventory }
    }

    /// Takes GPUs, where so many are free.
    pub(crate) fn take(&mut self, accelerator: &str, gpus: u32) -> bool {
        let Some(inventory) = &mut self.inventory else {
            return true;
        };
        let stock = inventory
            .iter_mut()
            .find(|stock| stock.accelerator == accelerator);
        let Some(stock) = stock.filter(|stock| stock.free >= gpus) else {
            return false;
        };
        stock.free -= gpus;
        true
    }

    pub(crate) fn give_back(&mut self, accelerator: &str, gpus: u32) {
        let stocks = self.inventory.iter_mut().flatten();
        for stock in stocks.filter(|stock| stock.accelerator == accelerator) {
            stock.free += gpus;
        }
    }

    /// The inventory as the cluster shows it.
    pub(crate) fn accelerators(&self) -> Option<Vec<Accelerator>> {
        let inventory = self.inventory.as_ref()?;
        let accelerator = |stock: &Stock<'_>| Accelerator {
            name: stock.accelerator.to_owned(),
            total: stock.total,
            available: stock.free,
            quota: None,
        };
        Some(inventory.iter().map(accelerator).collect())
    }
}

//! The task that encodes batches, commits tables and gives states back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use airbyte_protocol::{Output, Result, StateLine, StateStats};
use arrow_array::RecordBatch;
use tokio::sync::mpsc;

use crate::replay::{self, Token};
use crate::table::TableWriter;

/// What the committer is asked to do. Streams are told by their place in the catalog.
pub enum Order {
    /// Write rows.
    Batch {
        /// The stream.
        stream: usize,
        /// The rows.
        batch: RecordBatch,
    },
    /// Give a state back when everything before it is durable.
    State {
        /// The state.
        state: StateLine,
        /// The records that it counts.
        records: u64,
        /// What has to be durable.
        needed: Vec<Needed>,
    },
    /// Commit the rows of a stream so far.
    Commit {
        /// The stream.
        stream: usize,
        /// Its records so far.
        records: u64,
        /// What the rows came from.
        token: Option<Token>,
    },
    /// Drop the rows of a stream since the last commit: they are in the table already.
    Discard {
        /// The stream.
        stream: usize,
        /// Its records so far.
        records: u64,
    },
    /// Let what was written aside take the place of the table's rows.
    Complete {
        /// The stream.
        stream: usize,
    },
}

/// How many records of a stream have to be durable.
pub struct Needed {
    /// The stream.
    pub stream: usize,
    /// The records.
    pub records: u64,
}

/// What the reading side wants to know of a stream.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    bytes: Arc<AtomicU64>,
    is_full: Arc<AtomicBool>,
}

impl Progress {
    /// Bytes that wait for the next commit.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether a commit is due whatever the size.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

struct Table {
    writer: TableWriter,
    progress: Progress,
    /// Records that are durable.
    durable: u64,
}

impl Table {
    fn tell(&self) {
        self.progress.bytes.store(self.writer.size(), Ordering::Relaxed);
        self.progress.is_full.store(self.writer.is_full(), Ordering::Relaxed);
    }
}

/// A state that waits.
struct Held {
    state: StateLine,
    records: u64,
    needed: Vec<Needed>,
}

/// Takes orders one by one.
pub struct Committer {
    tables: Vec<Table>,
    held: VecDeque<Held>,
    output: Output,
    budget: usize,
}

impl Committer {
    /// For these tables, with so many bytes of memory for their open files.
    pub fn new(writers: Vec<(TableWriter, Progress)>, output: Output, budget: usize) -> Self {
        let table = |(writer, progress)| Table { writer, progress, durable: 0 };
        Self {
            tables: writers.into_iter().map(table).collect(),
            held: VecDeque::new(),
            output,
            budget,
        }
    }

    /// Works until there are no more orders.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<()> {
        while let Some(order) = orders.recv().await {
            self.take(order).await?;
        }
        self.output.flush().await;
        Ok(())
    }

    async fn take(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Batch { stream, batch } => {
                self.tables[stream].writer.write(batch).await?;
                self.keep_budget().await?;
                if self.tables[stream].writer.is_full() {
                    // No state is covered by this, which is fine: rows of a key may come again.
                    self.tables[stream].writer.commit(HashMap::new()).await?;
                }
                self.tables[stream].tell();
            }
            Order::State { state, records, needed } => {
                self.held.push_back(Held { state, records, needed });
                self.release().await;
            }
            Order::Commit { stream, records, token } => {
                let property = |token: Token| (replay::PROPERTY.to_owned(), token.text());
                let properties = token.map(property).into_iter().collect();
                // Only the last commit can be recognized after a crash, so the states of the one
                // before must have left by then.
                self.output.flush().await;
                let table = &mut self.tables[stream];
                table.writer.commit(properties).await?;
                table.durable = records;
                table.tell();
                self.release().await;
            }
            Order::Discard { stream, records } => {
                let table = &mut self.tables[stream];
                table.writer.discard().await?;
                table.durable = records;
                table.tell();
                self.release().await;
            }
            Order::Complete { stream } => self.tables[stream].writer.complete().await?,
        }
        Ok(())
    }

    /// Ends row groups, the greatest first, until the open ones fit into the budget.
    async fn keep_budget(&mut self) -> Result<()> {
        loop {
            let memory: usize = self.tables.iter().map(|table| table.writer.memory()).sum();
            if memory <= self.budget {
                return Ok(());
            }
            let greatest = self.tables.iter_mut().max_by_key(|table| table.writer.memory());
            match greatest.filter(|table| table.writer.memory() > 0) {
                Some(table) => table.writer.flush_greatest().await?,
                None => return Ok(()),
            }
        }
    }

    /// Gives back, in order, every state whose records are durable.
    async fn release(&mut self) {
        let tables = &self.tables;
        let is_durable = |held: &Held| {
            held.needed.iter().all(|needed| tables[needed.stream].durable >= needed.records)
        };
        let mut waiting = VecDeque::new();
        while let Some(held) = self.held.pop_front() {
            if is_durable(&held) {
                let stats = StateStats::new(held.records, 0);
                self.output.echo_state(&held.state, &stats).await;
            } else {
                waiting.push_back(held);
            }
        }
        self.held = waiting;
    }
}

//! The expected records of the connector's streams: what its first full read must emit.
//!
//! A record is the object as the list endpoint of the connector's version returns it, with the
//! stream's expands, plus the columns that the connector adds. Nothing here goes through HTTP.

use std::collections::HashSet;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::Stripe;
use super::context::Ctx;
use super::filter::Range;
use super::legacy;
use super::links;
use super::replies;
use super::resource::{Key, Res};
use super::version::Era;
use super::walk::{self, Scope};

/// A stream of the connector.
struct Stream {
    name: &'static str,
    res: Res,
    /// What the connector expands, without `data.`.
    expand: &'static [&'static str],
    /// What is added to the object.
    added: Added,
}

/// The columns that the connector adds to an object.
#[derive(Clone, Copy)]
enum Added {
    Nothing,
    /// `updated`: the object's own, or its creation.
    Updated,
    /// `updated` after the columns that newer versions moved elsewhere.
    Moved(fn(&mut Map<String, Value>)),
    /// The parent's id, creation, change and more, under a prefix.
    Parent(&'static str),
    /// `updated`: the creation of the parent.
    ParentTime,
    /// `subscription_updated`: the creation of the subscription.
    Item,
    /// The customer, and its creation as `updated`.
    Customer,
}

const fn plain(name: &'static str, res: Res) -> Stream {
    stream(name, res, &[], Added::Nothing)
}

const fn updated(name: &'static str, res: Res) -> Stream {
    stream(name, res, &[], Added::Updated)
}

const fn stream(
    name: &'static str,
    res: Res,
    expand: &'static [&'static str],
    added: Added,
) -> Stream {
    Stream { name, res, expand, added }
}

const STREAMS: &[Stream] = &[
    updated("accounts", Res::Account),
    stream("active_entitlements", Res::ActiveEntitlement, &[], Added::Customer),
    plain("apple_pay_domains", Res::ApplePayDomain),
    updated("application_fees", Res::ApplicationFee),
    updated("application_fees_refunds", Res::FeeRefund),
    updated("authorizations", Res::Authorization),
    plain("balance_transactions", Res::BalanceTransaction),
    stream("bank_accounts", Res::BankAccount, &[], Added::ParentTime),
    updated("cardholders", Res::Cardholder),
    updated("cards", Res::IssuingCard),
    stream("charges", Res::Charge, &["refunds"], Added::Updated),
    updated("checkout_sessions", Res::CheckoutSession),
    stream(
        "checkout_sessions_line_items",
        Res::CheckoutLine,
        &["discounts", "taxes"],
        Added::Parent("checkout_session"),
    ),
    updated("coupons", Res::Coupon),
    stream("credit_note_line_items", Res::CreditNoteLine, &[], Added::Parent("credit_note")),
    updated("credit_notes", Res::CreditNote),
    plain("customer_balance_transactions", Res::CustomerBalanceTransaction),
    stream("customer_cards", Res::CustomerCard, &[], Added::ParentTime),
    updated("customer_tax_ids", Res::CustomerTaxId),
    updated("customers", Res::Customer),
    updated("disputes", Res::Dispute),
    updated("early_fraud_warnings", Res::EarlyFraudWarning),
    plain("entitlement_features", Res::Feature),
    plain("events", Res::Event),
    stream("external_account_bank_accounts", Res::ExternalBankAccount, &[], Added::ParentTime),
    stream("external_account_cards", Res::ExternalCard, &[], Added::ParentTime),
    plain("file_links", Res::FileLink),
    plain("files", Res::File),
    updated("invoice_items", Res::InvoiceItem),
    stream("invoice_line_items", Res::InvoiceLine, &[], Added::Parent("invoice")),
    updated("invoice_payments", Res::InvoicePayment),
    stream("invoices", Res::Invoice, &["discounts", "payments"], Added::Moved(legacy::invoice)),
    updated("issuing_disputes", Res::IssuingDispute),
    updated("payment_intents", Res::PaymentIntent),
    updated("payment_methods", Res::PaymentMethod),
    updated("payouts", Res::Payout),
    updated("persons", Res::Person),
    stream("plans", Res::Plan, &["tiers"], Added::Updated),
    stream("prices", Res::Price, &["tiers", "currency_options"], Added::Updated),
    updated("products", Res::Product),
    stream(
        "promotion_codes",
        Res::PromotionCode,
        &["promotion.coupon"],
        Added::Moved(legacy::promotion_code),
    ),
    plain("radar_value_list_items", Res::ValueListItem),
    plain("radar_value_lists", Res::ValueList),
    updated("refunds", Res::Refund),
    updated("reviews", Res::Review),
    plain("setup_attempts", Res::SetupAttempt),
    updated("setup_intents", Res::SetupIntent),
    plain("shipping_rates", Res::ShippingRate),
    stream("subscription_items", Res::SubscriptionItem, &[], Added::Item),
    updated("subscription_schedule", Res::SubscriptionSchedule),
    stream("subscriptions", Res::Subscription, &[], Added::Moved(legacy::subscription)),
    updated("tax_rates", Res::TaxRate),
    updated("top_ups", Res::TopUp),
    updated("transactions", Res::IssuingTransaction),
    plain("transfer_reversals", Res::TransferReversal),
    updated("transfers", Res::Transfer),
    plain("usage_records", Res::UsageRecord),
];

/// Lines leave in parts of about that many bytes.
const FULL: usize = 1 << 16;

/// The streams that are not the objects of one kind.
const OTHERS: [&str; 3] = ["balance", "discounts", "payout_balance_transactions"];

/// The names of all streams.
pub fn streams() -> Vec<&'static str> {
    STREAMS.iter().map(|s| s.name).chain(OTHERS).collect()
}

/// Writes the expected records of a stream as JSON lines; `STREAM@acct_…` is that of a connected
/// account.
pub fn write_lines(stripe: &Stripe, name: &str, now: i64, out: &mut dyn Write) -> io::Result<()> {
    let (name, account) = name.split_once('@').unwrap_or((name, &stripe.platform.account_id));
    let world = stripe.account(account).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no account {account:?}"))
    })?;
    // This one endpoint is gone from the newer versions, so its stream stays with an old one.
    let era = if name == "usage_records" { Era::Legacy } else { Era::Basil };
    let mut lines = Lines { buffer: Vec::new(), out };
    stripe.with_view(&world, now, era, |ctx| lines.of_stream(ctx, name))?;
    lines.flush()
}

/// JSON lines on their way out: memory stays small however many there are.
struct Lines<'a> {
    buffer: Vec<u8>,
    out: &'a mut dyn Write,
}

impl Lines<'_> {
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends a line.
    fn end(&mut self) -> io::Result<()> {
        self.buffer.push(b'\n');
        if self.buffer.len() < FULL { Ok(()) } else { self.flush() }
    }

    fn write(&mut self, record: Map<String, Value>) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, &record)?;
        self.end()
    }

    /// Adds columns to the object that ends the buffer.
    fn append(&mut self, columns: &str) {
        self.buffer.pop();
        self.buffer.push(b',');
        self.buffer.extend_from_slice(columns.as_bytes());
        self.buffer.push(b'}');
    }

    fn of_stream(&mut self, ctx: &Ctx<'_>, name: &str) -> io::Result<()> {
        match name {
            "balance" => self.balance(ctx),
            "discounts" => self.discounts(ctx),
            "payout_balance_transactions" => self.payout_transactions(ctx),
            _ => {
                let unknown =
                    || io::Error::new(io::ErrorKind::NotFound, format!("no stream {name:?}"));
                let stream = STREAMS.iter().find(|s| s.name == name).ok_or_else(unknown)?;
                living(ctx, stream.res).try_for_each(|key| self.record(ctx, stream, key))
            }
        }
    }

    fn balance(&mut self, ctx: &Ctx<'_>) -> io::Result<()> {
        let mut balance: Map<String, Value> = serde_json::from_slice(&replies::balance(ctx))?;
        balance.insert("snapshot_at".to_owned(), json!(ctx.now));
        self.write(balance)
    }

    fn record(&mut self, ctx: &Ctx<'_>, stream: &Stream, key: Key) -> io::Result<()> {
        let (res, start) = (stream.res, self.buffer.len());
        ctx.write_object(res, key, stream.expand, &mut self.buffer);
        let parent_created = || ctx.created(res.parent().unwrap_or(res), key.parent());
        match stream.added {
            Added::Nothing => {}
            Added::Updated if res == Res::Product => {}
            Added::Updated => self.append(&format!("\"updated\":{}", ctx.created(res, key))),
            Added::ParentTime => self.append(&format!("\"updated\":{}", parent_created())),
            Added::Item => self.append(&format!("\"subscription_updated\":{}", parent_created())),
            Added::Customer => {
                let customer = ctx.world.id(Res::Customer, key.parent());
                let updated = parent_created();
                self.append(&format!("\"customer\":\"{customer}\",\"updated\":{updated}"));
            }
            Added::Moved(fill) => {
                let mut object = self.take(start)?;
                fill(&mut object);
                object.insert("updated".to_owned(), json!(ctx.created(res, key)));
                return self.write(object);
            }
            Added::Parent(prefix) => {
                let mut object = self.take(start)?;
                if res == Res::InvoiceLine {
                    legacy::line(&mut object);
                }
                add_parent(ctx, res, key, prefix, &mut object);
                return self.write(object);
            }
        }
        self.end()
    }

    /// Takes the object from the buffer's end as a tree.
    fn take(&mut self, start: usize) -> io::Result<Map<String, Value>> {
        let object = serde_json::from_slice(&self.buffer[start..])?;
        self.buffer.truncate(start);
        Ok(object)
    }

    /// Discounts of customers and of subscriptions, as they stand in those.
    fn discounts(&mut self, ctx: &Ctx<'_>) -> io::Result<()> {
        let of_customers = living(ctx, Res::Customer)
            .filter_map(|key| ctx.object(Res::Customer, key, &[]).remove("discount"));
        let of_subscriptions = living(ctx, Res::Subscription).flat_map(|key| {
            let discounts = ctx.object(Res::Subscription, key, &["discounts"]).remove("discounts");
            discounts.and_then(|all| all.as_array().cloned()).unwrap_or_default()
        });
        let mut seen = HashSet::new();
        for discount in of_customers.chain(of_subscriptions) {
            let Value::Object(mut record) = discount else { continue };
            if record.get("id").is_some_and(|id| seen.insert(id.clone())) {
                legacy::discount(&mut record);
                let start = record.get("start").cloned().unwrap_or_default();
                record.insert("updated".to_owned(), start);
                self.write(record)?;
            }
        }
        Ok(())
    }

    /// The transactions of each automatic payout.
    fn payout_transactions(&mut self, ctx: &Ctx<'_>) -> io::Result<()> {
        for payout in living(ctx, Res::Payout).filter(|key| links::is_automatic(*key)) {
            let (id, created) =
                (ctx.world.id(Res::Payout, payout), ctx.created(Res::Payout, payout));
            for transaction in links::transactions_of_payout(ctx.world, payout).rev() {
                ctx.write_object(Res::BalanceTransaction, transaction, &[], &mut self.buffer);
                self.append(&format!("\"payout\":\"{id}\",\"updated\":{created}"));
                self.end()?;
            }
        }
        Ok(())
    }
}

/// All living objects of a kind that a full read reaches, newest parents first.
fn living<'a>(ctx: &'a Ctx<'a>, res: Res) -> Box<dyn Iterator<Item = Key> + 'a> {
    if res == Res::Event {
        let visible = |key: &Key| {
            ctx.overlay
                .log
                .get(*key)
                .is_some_and(|row| super::events::is_visible(ctx.world, row, ctx.now))
        };
        return Box::new(all(ctx, res).filter(visible));
    }
    match res.parent() {
        // External accounts are read of the account itself, not of the connected ones.
        Some(Res::Account) if res != Res::Person => {
            Box::new(ctx.children(res, ctx.world.own).into_iter())
        }
        Some(of) if !res.listed_globally() => {
            Box::new(living(ctx, of).flat_map(move |parent| ctx.children(res, parent)))
        }
        _ => Box::new(all(ctx, res)),
    }
}

fn all<'a>(ctx: &'a Ctx<'a>, res: Res) -> impl Iterator<Item = Key> + 'a {
    let items = walk::newest_first(ctx, Scope::All(res), None, Range::ALL);
    items.filter(|(res, key)| !ctx.is_deleted(*res, *key)).map(|(_, key)| key)
}

fn add_parent(ctx: &Ctx<'_>, res: Res, key: Key, prefix: &str, object: &mut Map<String, Value>) {
    let of = res.parent().unwrap_or(res);
    let created = ctx.created(of, key.parent());
    object.insert(format!("{prefix}_id"), json!(ctx.world.id(of, key.parent())));
    object.insert(format!("{prefix}_created"), json!(created));
    object.insert(format!("{prefix}_updated"), json!(created));
    if of == Res::CheckoutSession {
        let expires = ctx.object(of, key.parent(), &[]).get("expires_at").cloned();
        object.insert(format!("{prefix}_expires_at"), expires.unwrap_or_default());
    }
}

//! Subscriptions, their items and schedules; usage summaries; quotes.

use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::prices;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

const DAY: i64 = 86_400;

/// Status of a subscription; one in seven is canceled.
pub fn status(world: &World, key: Key) -> &'static str {
    match links::percent(world, Res::Subscription, key, 91) {
        0..14 => "canceled",
        14..20 => "past_due",
        20..26 => "trialing",
        26..28 => "unpaid",
        _ => "active",
    }
}

/// The billing period of an item that holds the clock's start.
fn period(ctx: &Ctx<'_>, item: Key) -> (i64, i64) {
    let length = prices::interval_seconds(links::price_of_item(ctx.world, item));
    let created = ctx.created(Res::Subscription, item.parent());
    let passed = (ctx.world.clock_start - created).max(0) / length;
    (created + passed * length, created + (passed + 1) * length)
}

pub fn subscription(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let (status, created) = (status(world, key), ctx.created(Res::Subscription, key));
    let customer = links::customer_of_subscription(world, key);
    vars.str("status", status);
    vars.set("customer", Val::Ref(Res::Customer, customer));
    vars.opt("payment_method", Res::PaymentMethod, links::default_method(world, Some(customer)));
    vars.opt("latest_invoice", Res::Invoice, links::latest_invoice(world, key));
    vars.opt("test_clock", Res::TestClock, world.clock_of(key));
    let schedule = world.anchored(Res::SubscriptionSchedule, key).filter(|s| !is_released(*s));
    vars.opt("schedule", Res::SubscriptionSchedule, schedule);

    let canceled = status == "canceled";
    let ended = created + (world.clock_start - created).max(0) / 2;
    vars.set("canceled_at", Val::opt_int(canceled.then_some(ended)));
    vars.set("feedback", if canceled { Val::Str("too_expensive") } else { Val::Null });
    vars.set(
        "cancel_reason",
        if canceled { Val::Str("cancellation_requested") } else { Val::Null },
    );
    vars.flag("canceling", status == "active" && key.0 % 20 == 6);
    let trial = status == "trialing";
    vars.set("trial_start", Val::opt_int(trial.then_some(created)));
    vars.set("trial_end", Val::opt_int(trial.then_some(created + 14 * DAY)));

    let discounts: Vec<_> = ctx.children(Res::SubscriptionDiscount, key);
    vars.opt("discount", Res::SubscriptionDiscount, discounts.last().copied());
    vars.set(
        "discounts",
        Val::Refs(discounts.into_iter().map(|d| (Res::SubscriptionDiscount, d)).collect()),
    );

    // The old shape speaks of a subscription as if it had one item.
    let first = key.child(0);
    let (start, end) = period(ctx, first);
    vars.int("period_start", start);
    vars.int("period_end", end);
    let single = ctx.children(Res::SubscriptionItem, key).len() == 1;
    vars.opt("plan", Res::Plan, single.then(|| links::price_of_item(world, first)));
    vars.set("quantity", Val::opt_int(single.then(|| links::item_quantity(world, first))));
}

pub fn item(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let price = links::price_of_item(ctx.world, key);
    vars.set("price", Val::Ref(Res::Price, price));
    vars.set("plan", Val::Ref(Res::Plan, price));
    let counted = !links::is_metered(price);
    vars.set("quantity", Val::opt_int(counted.then(|| links::item_quantity(ctx.world, key))));
    let (start, end) = period(ctx, key);
    vars.int("period_start", start);
    vars.int("period_end", end);
}

/// Every fourth schedule has let go of its subscription.
fn is_released(schedule: Key) -> bool {
    schedule.0 % 4 == 3
}

pub fn schedule(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let subscription = ctx.world.anchor(Res::SubscriptionSchedule, key);
    let status = match key.0 % 4 {
        3 => "released",
        2 => "completed",
        _ => "active",
    };
    let later = ctx.created(Res::SubscriptionSchedule, key) + DAY;
    vars.str("status", status);
    vars.flag("active", status == "active");
    vars.set("completed_at", Val::opt_int((status == "completed").then_some(later)));
    vars.set("released_at", Val::opt_int(is_released(key).then_some(later)));
    vars.opt("released", Res::Subscription, is_released(key).then_some(subscription));
    vars.opt("subscription", Res::Subscription, (!is_released(key)).then_some(subscription));
    let customer = links::customer_of_subscription(ctx.world, subscription);
    vars.set("customer", Val::Ref(Res::Customer, customer));
    vars.set("price", Val::Ref(Res::Price, links::price_of_item(ctx.world, subscription.child(0))));
}

/// The usage of one month before the clock's start, going back.
pub fn usage(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let end = ctx.world.clock_start - 30 * DAY * key.position() as i64;
    vars.int("period_end", end);
    vars.int("period_start", end - 30 * DAY);
}

pub fn quote(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let clocked = key.is_clocked();
    let customer = if clocked {
        key
    } else {
        links::customer_near(ctx.world, (key.0 * 50) % ctx.world.rows, 92)
    };
    vars.set("customer", Val::Ref(Res::Customer, customer));
    vars.opt("test_clock", Res::TestClock, ctx.world.clock_of(key));
}

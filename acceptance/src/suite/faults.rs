//! Faults of the API, by a proxy between it and the connector: F.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::lab::{Desk, Lab, Trial};
use super::reading::{self, Read, Reading};
use crate::checks::output::Expected;
use crate::checks::spec as spec_checks;
use crate::checks::streams::{self, Asked};
use crate::config::Faults;
use crate::exec::{Call, Trouble};
use crate::proxy::{
    Fault, FaultPlan, Journal, Mode, Options, Proxy, RetryAfter, Rule as Strike, Scope, Secret,
};
use crate::rules::{self, Rule};
use crate::sheet::Finding;
use crate::transcript::{Exit, Transcript};

/// The requests that a fault strikes; more would only make the waits longer.
const STRUCK: u64 = 4;
/// The share of requests that a fault strikes until then.
const SHARE: f64 = 0.2;
/// How far clocks may be apart.
const TOLERANCE: Duration = Duration::from_millis(60);
/// How often the same request may be made while the API stays broken.
const STUBBORN: usize = 40;
/// How long a connector may try an API that stays broken, in seconds, unless reads have a shorter
/// limit.
const GIVE_UP: f64 = 900.0;

/// The address of the API that the configuration names, when the suite knows where.
pub fn base_url(lab: &Lab<'_>) -> Option<String> {
    let key = lab.settings.proxy.base_url_key.as_deref()?;
    let config = lab.config();
    let value = key.split('.').try_fold(&config, |value, part| value.get(part));
    value.and_then(Value::as_str).map(str::to_owned).or_else(|| lab.upstream.clone())
}

/// Starts a proxy; gives the call that goes through it.
pub fn through(lab: &Lab<'_>, options: Options, call: Call) -> Result<(Proxy, Call), Trouble> {
    let trouble = |error: crate::proxy::Error| Trouble(format!("the proxy: {error}"));
    let mode = match &lab.settings.proxy.replay {
        Some(folder) => Mode::Replay(folder.clone()),
        None => Mode::Live,
    };
    let proxy = Proxy::start(Options { mode, ..options }).map_err(trouble)?;
    let mut call = call;
    call.environment.extend(proxy.environment());
    let upstream = lab.upstream.clone().or_else(|| base_url(lab));
    if let (Some(key), Some(upstream)) = (&lab.settings.proxy.base_url_key, upstream) {
        let address = proxy.base_url(&upstream).map_err(trouble)?;
        if let Some(crate::exec::Content::Json(config)) = call.content("config") {
            let mut config = config.clone();
            put(&mut config, key, address.into());
            call = call.config(&config);
        }
    }
    Ok((proxy, call))
}

/// Sets the member at a path such as `server.base_url`.
pub fn put(config: &mut Value, key: &str, value: Value) {
    let mut place = config;
    for part in key.split('.') {
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}

/// The secrets of the configuration, for what the proxy writes.
pub fn secrets(lab: &Lab<'_>) -> Vec<Secret> {
    let config = lab.config();
    let short = spec_checks::secrets(lab.spec(), &config).into_iter().filter(|text| !is_long(text));
    let named = short.enumerate();
    let short = named.map(|(at, value)| Secret::new(format!("config_{at}"), value));
    // A recording knows them by these names.
    short.chain(texts(&config)).collect()
}

/// Whether a text may be a secret for all one can tell.
fn is_long(text: &str) -> bool {
    text.len() >= 12 && !text.contains("://")
}

/// Every text of a configuration, for when the spec is not known.
pub fn texts(config: &Value) -> Vec<Secret> {
    fn collect(path: &str, value: &Value, found: &mut Vec<Secret>) {
        match value {
            Value::String(text) if is_long(text) => {
                found.push(Secret::new(path.to_owned(), text.clone()));
            }
            Value::Object(members) => {
                for (key, value) in members {
                    collect(&format!("{path}.{key}"), value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(path, item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect("config", config, &mut found);
    found
}

/// A kind of fault that has to be ridden out.
struct Kind {
    /// Its name in `proxy.faults`.
    name: &'static str,
    rules: &'static [&'static Rule],
    fault: fn() -> Fault,
    /// How many requests are struck at most.
    struck: u64,
    /// How often the same request is struck at most.
    times: u32,
}

impl Kind {
    /// A fault that does not strike the same request again.
    const fn once(
        name: &'static str,
        rules: &'static [&'static Rule],
        fault: fn() -> Fault,
    ) -> Self {
        Self { name, rules, fault, struck: STRUCK, times: 1 }
    }
}

static KINDS: [Kind; 9] = [
    Kind::once("too_many", &[&rules::F01, &rules::F09, &rules::F11, &rules::F12], || {
        Fault::too_many_with(RetryAfter::Seconds(1))
    }),
    Kind::once("too_many_date", &[&rules::F01, &rules::F09, &rules::F11], || {
        Fault::too_many_with(RetryAfter::Date(2))
    }),
    Kind::once("too_many_bare", &[&rules::F02, &rules::F09], || {
        Fault::too_many_with(RetryAfter::Absent)
    }),
    Kind::once("server_error", &[&rules::F03, &rules::F09], || Fault::status(503)),
    Kind::once("reset", &[&rules::F04, &rules::F09], || Fault::Reset),
    Kind::once("cut", &[&rules::F05, &rules::F09], || Fault::Cut),
    // Who gives up waiting and asks again is made to wait again.
    Kind {
        name: "slow",
        rules: &[&rules::F06, &rules::F09],
        fault: || Fault::slow(Duration::from_millis(800)),
        struck: 8,
        times: 8,
    },
    Kind::once("malformed", &[&rules::F08, &rules::F09], || Fault::Malformed),
    Kind::once("html", &[&rules::F08, &rules::F09], || Fault::Html),
];

/// Faults beside [`KINDS`].
const OTHERS: [&str; 3] = ["expired_token", "refused", "broken_for_good"];

/// Whether the file names faults that nobody knows.
pub fn check_names(faults: Option<&Faults>) -> Result<(), Trouble> {
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).chain(OTHERS).collect();
    let Some(Faults::Only(names)) = faults else { return Ok(()) };
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Trouble(format!(
            "proxy.faults: there is no fault `{name}`; there are {}, or `faults: off`",
            known.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Reads once through the proxy without faults. `None` when the connector did not go through it.
pub fn first(lab: &Lab<'_>, reading: &Reading<'_>, whole: &Read) -> Result<Option<usize>, Trouble> {
    let all: Vec<&'static Rule> = KINDS
        .iter()
        .flat_map(|kind| kind.rules.iter().copied())
        .chain([&rules::F07, &rules::F10, &rules::F13, &rules::F14])
        .collect();
    let mut desk = Desk::new(lab);
    let skip = |desk: &mut Desk<'_>, why: &str| {
        all.iter().for_each(|rule| desk.sheet.skip(rule, why));
    };
    if matches!(lab.settings.proxy.faults, Some(Faults::Off(_))) {
        skip(&mut desk, "faults are off");
        desk.clear();
        return Ok(None);
    }
    if !lab.wanted.any(&all) || !whole.is_good {
        if !whole.is_good {
            skip(&mut desk, "the first read failed");
        }
        desk.clear();
        return Ok(None);
    }
    let call = desk.call("read through the proxy", "read").catalog(&whole.catalog);
    let (proxy, call) =
        through(lab, Options { secrets: secrets(lab), ..Options::default() }, call)?;
    let run = desk.run(&call, Expected::Anything)?;
    let journal = proxy.finish().map_err(|error| Trouble(format!("the proxy: {error}")))?;
    let requests = journal.exchanges.len();
    let is_through = requests > 0 && run.exit.is_success();
    if requests == 0 {
        skip(
            &mut desk,
            "no request went through the proxy: the connector ignores HTTP_PROXY or asks no \
             HTTP API; name the key of its API's address in proxy.base_url_key",
        );
    } else if is_through {
        let rows = reading.rows(&run, usize::MAX);
        let missing = rows.missing_of(&whole.rows);
        if !missing.is_empty() {
            skip(&mut desk, "through the proxy, without faults, records are missing");
            desk.clear();
            return Ok(None);
        }
    } else {
        let why = format!(
            "the read through the proxy failed without faults: {} {}",
            run.error_text(),
            journal.problems.join("; ")
        );
        skip(&mut desk, &why);
    }
    desk.clear();
    Ok(is_through.then_some(requests))
}

/// All trials of faults; `requests` is what a read without faults takes.
pub fn trials<'a>(
    lab: &'a Lab<'a>,
    reading: &'a Reading<'a>,
    whole: &'a Read,
    requests: usize,
) -> Vec<Trial<'a>> {
    let is_asked = |name: &str| match &lab.settings.proxy.faults {
        Some(Faults::Only(_)) => is_named(lab, name),
        _ => true,
    };
    let mut trials: Vec<Trial<'a>> = Vec::new();
    // The longest one comes first, so that the others go on beside it.
    if !is_named(lab, "broken_for_good") && !lab.settings.long {
        let mut desk = Desk::new(lab);
        let why = "it takes as long as the connector goes on trying; --long includes it";
        desk.sheet.skip(&rules::F10, why);
        desk.clear();
    } else if is_asked("broken_for_good") {
        trials.push(Trial::new("faults: broken_for_good", &[&rules::F10, &rules::F09], {
            move |desk: &mut Desk<'_>| stays(desk, lab, reading, Fault::status(503), &rules::F10)
        }));
    }
    for kind in KINDS.iter().filter(|kind| is_asked(kind.name)) {
        trials.push(Trial::new(format!("faults: {}", kind.name), kind.rules, {
            move |desk: &mut Desk<'_>| ridden_out(desk, lab, reading, whole, requests, kind)
        }));
    }
    if is_asked("expired_token") {
        trials.push(Trial::new("faults: expired_token", &[&rules::F07], {
            move |desk: &mut Desk<'_>| expired(desk, lab, reading, whole, requests)
        }));
    }
    if is_asked("refused") {
        trials.push(Trial::new("faults: refused", &[&rules::F13, &rules::F14], {
            move |desk: &mut Desk<'_>| {
                stays(desk, lab, reading, Fault::Echo { status: 403 }, &rules::F13)
            }
        }));
    }
    trials
}

/// Whether the file asks for a fault by name.
fn is_named(lab: &Lab<'_>, name: &str) -> bool {
    match &lab.settings.proxy.faults {
        Some(Faults::Only(names)) => names.iter().any(|asked| asked == name),
        _ => false,
    }
}

fn ridden_out(
    desk: &mut Desk<'_>,
    lab: &Lab<'_>,
    reading: &Reading<'_>,
    whole: &Read,
    requests: usize,
    kind: &Kind,
) -> Result<(), Trouble> {
    // Few requests would often be spared by chance.
    let share = if requests < 20 { 1.0 } else { SHARE };
    let strike = Strike::some(share, (kind.fault)()).at_most(kind.struck).times(kind.times);
    let faults = FaultPlan { seed: lab.seed, rules: vec![strike] };
    let title = format!("read, faults: {}", kind.name);
    let call = desk.call(&title, "read").catalog(&whole.catalog).hindered();
    let options = Options { faults, secrets: secrets(lab), ..Options::default() };
    let (proxy, call) = through(lab, options, call)?;
    let run = desk.run(&call, Expected::Anything)?;
    let journal = proxy.finish().map_err(|error| Trouble(format!("the proxy: {error}")))?;
    let rule = kind.rules[0];
    let struck = journal.faulted().count();
    if struck == 0 {
        desk.sheet.skip(rule, format!("{}: no request was struck", kind.name));
        return Ok(());
    }
    judge(desk, rule, reading, whole, &run, kind.name, struck);
    bounded(desk, &run, &journal, requests, struck);
    if kind.rules.contains(&&rules::F11) {
        patient(desk, &run, &journal);
    }
    if kind.rules.contains(&&rules::F12) {
        announced(desk, &run);
    }
    Ok(())
}

/// The same records have to arrive.
fn judge(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    reading: &Reading<'_>,
    whole: &Read,
    run: &Transcript,
    name: &str,
    struck: usize,
) {
    desk.sheet.check(rule);
    if !run.exit.is_success() {
        let message = format!(
            "{struck} requests met {name}, it ended with {}: {}",
            run.exit,
            run.error_text()
        );
        desk.find(Finding::new(rule, message).in_run(&run.title));
        return;
    }
    for (stream, missing) in reading.rows(run, usize::MAX).missing_of(&whole.rows) {
        let text = reading::named(&missing, whole.rows.count(stream), "lost, with exit code 0");
        let message = format!("{struck} requests met {name}: {text}");
        desk.find(Finding::new(rule, message).in_run(&run.title).stream(stream));
    }
}

fn bounded(
    desk: &mut Desk<'_>,
    run: &Transcript,
    journal: &Journal,
    requests: usize,
    struck: usize,
) {
    desk.sheet.check(&rules::F09);
    let made = journal.exchanges.len();
    let allowed = requests * 2 + struck * 20 + 50;
    if made > allowed {
        let message = format!("{made} requests with {struck} faults, {requests} without any");
        desk.find(Finding::new(&rules::F09, message).in_run(&run.title));
    }
    if let Some((exchange, times)) = journal.most_repeated()
        && times > 30 + requests / 2
    {
        let message = format!("{} {} was asked for {times} times", exchange.method, exchange.url);
        desk.find(Finding::new(&rules::F09, message).in_run(&run.title));
    }
}

fn patient(desk: &mut Desk<'_>, run: &Transcript, journal: &Journal) {
    desk.sheet.check(&rules::F11);
    if let Some(early) = journal.too_early(Scope::Request, TOLERANCE).first() {
        let message = format!(
            "{} {} was asked for again {} ms too early",
            early.request.method,
            early.request.url,
            early.early.as_millis()
        );
        desk.find(Finding::new(&rules::F11, message).in_run(&run.title));
        return;
    }
    let early = journal.too_early(Scope::Host, TOLERANCE);
    if let Some(first) = early.first() {
        let message = format!(
            "{} other requests were sent to {} before the time that a 429 named",
            early.len(),
            first.request.host
        );
        let reason = "many APIs limit by endpoint; those that limit the whole account count these";
        let finding = Finding::new(&rules::F11, message).only(rules::Level::Warning, reason);
        desk.find(finding.in_run(&run.title));
    }
}

fn announced(desk: &mut Desk<'_>, run: &Transcript) {
    desk.sheet.check(&rules::F12);
    let is_limited = |reasons: &[String]| reasons.iter().any(|reason| reason == "RATE_LIMITED");
    if !run.statuses().any(|(_, status)| is_limited(&status.reasons)) {
        let message = "no RUNNING with reason RATE_LIMITED came while it waited";
        let finding = Finding::new(&rules::F12, message);
        let reason = "the waits of this test are of a second, which need not be announced";
        desk.find(finding.only(rules::Level::Note, reason).in_run(&run.title));
    }
}

/// One 401 in the middle. A connector with a token that can be renewed has to go on; one with a
/// key that cannot may fail, if it says so.
fn expired(
    desk: &mut Desk<'_>,
    lab: &Lab<'_>,
    reading: &Reading<'_>,
    whole: &Read,
    requests: usize,
) -> Result<(), Trouble> {
    let nth = (requests as u64 / 2).max(2);
    let strike = Strike::nth(nth, Fault::status(401)).except("*oauth*").at_most(1);
    let call = desk.call("read, a 401 in the middle", "read").catalog(&whole.catalog);
    let faults = FaultPlan { seed: lab.seed, rules: vec![strike] };
    let options = Options { faults, secrets: secrets(lab), ..Options::default() };
    let (proxy, call) = through(lab, options, call)?;
    let run = desk.run(&call, Expected::Anything)?;
    let journal = proxy.finish().map_err(|error| Trouble(format!("the proxy: {error}")))?;
    let struck = journal.faulted().count();
    if struck == 0 {
        desk.sheet.skip(&rules::F07, "no request was struck");
        return Ok(());
    }
    desk.sheet.check(&rules::F07);
    let renews = journal.exchanges.iter().any(|exchange| {
        exchange.method == "POST"
            && ["token", "oauth", "login"].iter().any(|word| exchange.url.contains(word))
    });
    if run.exit.is_success() {
        judge(desk, &rules::F07, reading, whole, &run, "a 401", struck);
    } else if renews {
        let message = format!("{}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::F07, message).in_run(&run.title));
    } else if run.errors().next().is_none() {
        let message = format!("{}, without an error trace", run.exit);
        desk.find(Finding::new(&rules::F07, message).in_run(&run.title));
    }
    Ok(())
}

/// An API that stays broken, for one stream: the read has to fail, say so, and end.
fn stays(
    desk: &mut Desk<'_>,
    lab: &Lab<'_>,
    reading: &Reading<'_>,
    fault: Fault,
    rule: &'static Rule,
) -> Result<(), Trouble> {
    let info = reading
        .streams
        .iter()
        .find(|info| !reading.demands.empty_streams.contains(&info.descriptor.name));
    let Some(info) = info else { return Ok(()) };
    let catalog = streams::configured([info], Asked::FullRefresh);
    let status = if rule == &rules::F13 { 403 } else { 503 };
    let strike = Strike::always(fault).except("*oauth*").except("*token*");
    let call = desk.call(format!("read, the API always answers {status}"), "read");
    let patience = Duration::from_secs_f64(lab.settings.limits.read_seconds.min(GIVE_UP));
    let call = call.catalog(&catalog).timeout(patience).hindered();
    let faults = FaultPlan { seed: lab.seed, rules: vec![strike] };
    let options = Options { faults, secrets: secrets(lab), ..Options::default() };
    let (proxy, call) = through(lab, options, call)?;
    let run = desk.run(&call, Expected::Failure)?;
    let journal = proxy.finish().map_err(|error| Trouble(format!("the proxy: {error}")))?;
    if journal.faulted().next().is_none() {
        desk.sheet.skip(rule, "no request was struck");
        return Ok(());
    }
    desk.sheet.check(rule);
    if rule == &rules::F13 {
        echoed(desk, &run);
    }
    desk.sheet.check(&rules::F09);
    if let Some((exchange, times)) = journal.most_repeated().filter(|(_, times)| *times > STUBBORN)
    {
        let message = format!("{} {} was asked for {times} times", exchange.method, exchange.url);
        desk.find(Finding::new(&rules::F09, message).in_run(&run.title));
    }
    failed_as_it_should(desk, rule, &run, status, &info.descriptor);
    Ok(())
}

/// The refusals repeated the request, credentials included; nothing of that may be printed.
fn echoed(desk: &mut Desk<'_>, run: &Transcript) {
    let leaks = desk.lab.leaks();
    if leaks.is_empty() {
        return desk
            .sheet
            .skip(&rules::F14, "the configuration has no secrets of eight characters or more");
    }
    desk.sheet.check(&rules::F14);
    let of_stdout = run.lines.iter().map(|line| (Some(line.number), line.text().into_owned()));
    let of_stderr = run.stderr.lines().map(|line| (None, line.to_owned()));
    let leak = of_stdout.chain(of_stderr).find(|(_, text)| leaks.are_in(text));
    if let Some((number, text)) = leak {
        let mut finding = Finding::new(&rules::F14, "a secret that the API repeated was printed");
        finding.line = number;
        desk.find(finding.in_run(&run.title).excerpt(&leaks.hide(&text)));
    }
}

fn failed_as_it_should(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    run: &Transcript,
    status: u16,
    stream: &airbyte_protocol::StreamDescriptor,
) {
    // Airbyte's kit lets a connector leave out what it may not read, and say so in the log.
    let is_left_out = rule == &rules::F13 && run.exit.is_success() && says_refused(run);
    let mut note = |message: String| {
        let finding = Finding::new(rule, message);
        let reason = "the log says that access was refused, and the platform accepts that; but it \
                      takes the stream for complete, and a full refresh empties its table";
        let finding =
            if is_left_out { finding.only(rules::Level::Warning, reason) } else { finding };
        desk.sheet.find(finding.in_run(&run.title).stream(stream));
    };
    if run.exit == Exit::TimedOut {
        let seconds = run.usage.wall.as_secs();
        return note(format!("it was still trying after {seconds} s"));
    }
    if run.exit.is_success() {
        note(format!("every answer was {status}, and it ended with {}", run.exit));
    }
    if run.last_status(stream) == Some("COMPLETE") {
        note(format!("every answer was {status}, and the stream is COMPLETE"));
    }
    if run.errors().next().is_none() && !run.exit.is_success() {
        note(format!("{} without an error trace", run.exit));
    }
    let kinds: BTreeMap<&str, usize> = run
        .errors()
        .filter_map(|(_, error)| error.failure_type.as_deref())
        .fold(BTreeMap::new(), |mut kinds, kind| {
            *kinds.entry(kind).or_default() += 1;
            kinds
        });
    let wanted = if status == 403 { "config_error" } else { "transient_error" };
    if !kinds.is_empty() && !kinds.contains_key(wanted) {
        let found = kinds.keys().copied().collect::<Vec<_>>().join(", ");
        let finding = Finding::new(rule, format!("the error is a {found}, not a {wanted}"));
        let reason =
            "the read fails loudly all the same; only the retries are not what they should be";
        let finding = finding.only(rules::Level::Warning, reason);
        desk.sheet.find(finding.in_run(&run.title).stream(stream));
    }
}

/// Whether a log line tells of refused access.
fn says_refused(run: &Transcript) -> bool {
    run.payloads("LOG").any(|(_, log)| {
        let message = log["message"].as_str().unwrap_or_default().to_lowercase();
        ["403", "permission", "forbidden", "not authorized"]
            .iter()
            .any(|word| message.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_set_at_its_path() {
        let mut config = serde_json::json!({"a": 1});
        put(&mut config, "server.base_url", "x".into());
        assert_eq!(config, serde_json::json!({"a": 1, "server": {"base_url": "x"}}));
    }
}

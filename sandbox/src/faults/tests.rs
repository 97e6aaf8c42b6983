use super::*;

fn draw(faults: &Faults, requests: u64) -> Vec<Option<Fault>> {
    (0..requests)
        .map(|i| faults.decide("GET", "/stripe/v1/charges", &format!("page={i}")))
        .collect()
}

#[test]
fn rough_has_its_rates() {
    let drawn = draw(&Faults::new(7, Profile::rough()), 20_000);
    let share =
        |f: fn(&Fault) -> bool| drawn.iter().flatten().filter(|x| f(x)).count() as f64 / 20_000.0;
    let too_many = share(|f| matches!(f, Fault::TooMany { .. } | Fault::LockTimeout));
    assert!((0.045..0.055).contains(&too_many), "429: {too_many}");
    let server = share(|f| matches!(f, Fault::ServerError { .. }));
    assert!((0.016..0.024).contains(&server), "5xx: {server}");
    assert!((0.007..0.013).contains(&share(|f| matches!(f, Fault::Reset))));
    assert!((0.007..0.013).contains(&share(|f| matches!(f, Fault::Truncate(_)))));
    assert_eq!(drawn.iter().flatten().filter(|f| **f == Fault::ExpireToken).count(), 1);
    let headers: Vec<bool> = drawn
        .iter()
        .flatten()
        .filter_map(|f| match f {
            Fault::TooMany { retry_after, .. } => Some(retry_after.is_some()),
            _ => None,
        })
        .collect();
    let with = headers.iter().filter(|h| **h).count() as f64 / headers.len() as f64;
    assert!((0.4..0.6).contains(&with), "Retry-After on {with}");
}

#[test]
fn independent_of_the_order_of_requests() {
    let profile = Profile { token_expiries: 0, ..Profile::rough() };
    let (one, other) = (Faults::new(7, profile.clone()), Faults::new(7, profile));
    let forward = draw(&one, 500);
    let mut backward: Vec<_> = (0..500)
        .rev()
        .map(|i| other.decide("GET", "/stripe/v1/charges", &format!("page={i}")))
        .collect();
    backward.reverse();
    assert_eq!(forward, backward);
    assert!(forward.iter().any(Option::is_some));
}

#[test]
fn a_retry_has_its_own_luck() {
    let faults = Faults::new(1, Profile { too_many: 0.5, ..Profile::default() });
    let same: Vec<bool> = (0..40).map(|_| faults.decide("GET", "/a", "").is_some()).collect();
    assert!(same.contains(&true) && same.contains(&false));
}

#[test]
fn scripts_fire_at_their_request() {
    let profile = Profile::parse(
        r#"
        [[script]]
        path = "/stripe/v1/charges*"
        nth = 2
        times = 2
        action = "server_error"
        status = 503
        should_retry = false
        "#,
    );
    let faults = Faults::new(1, profile.unwrap_or_default());
    let fault = Some(Fault::ServerError { status: 503, should_retry: Some(false) });
    let seen: Vec<_> =
        (0..4).map(|i| faults.decide("GET", "/stripe/v1/charges", &format!("a={i}"))).collect();
    assert_eq!(seen, [None, fault.clone(), fault, None]);
    assert_eq!(faults.decide("GET", "/stripe/v1/customers", ""), None);
}

#[test]
fn profiles_are_checked() {
    assert!(Profile::parse("none").is_ok_and(|p| p.is_none()));
    assert!(Profile::parse("too_mny = 1.0").is_err());
    assert!(Profile::load("/no/such/profile.toml").is_err());
}

#[test]
fn globs() {
    assert!(glob("/a/*/c", "/a/b/c"));
    assert!(glob("/a*", "/a?x=1"));
    assert!(glob("*", ""));
    assert!(!glob("/a", "/ab"));
    assert!(!glob("/a/*/c", "/a/b/d"));
    assert!(glob("*x*y*", "axbyc"));
}

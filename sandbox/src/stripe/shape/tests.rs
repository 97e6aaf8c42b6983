use serde_json::Value;

use super::*;
use crate::stripe::context::Ctx;
use crate::stripe::facts;
use crate::stripe::overlay::Overlay;
use crate::stripe::resource::{Key, PLATFORM};
use crate::stripe::world::World;

fn world() -> World {
    World::platform(&crate::Options { seed: 3, rows: 600, ..crate::Options::default() })
}

/// A few objects of a kind: the first, some in the middle, one added later, one of a test clock.
fn samples(world: &World, res: Res) -> Vec<Key> {
    match res.parent() {
        Some(of) => samples(world, of)
            .into_iter()
            .flat_map(|parent| {
                (0..world.child_count(res, parent).max(1)).map(move |k| parent.child(k))
            })
            .collect(),
        None => {
            let count = world.base_count(res);
            let mut keys: Vec<Key> = (0..count.min(40)).map(Key).collect();
            keys.extend([Key(count + 3), Key(count.saturating_sub(1))]);
            if res == Res::Account {
                keys.push(PLATFORM);
            }
            if matches!(res, Res::Customer | Res::Subscription | Res::Quote) {
                keys.extend(world.clocked(Key(1)));
            }
            keys
        }
    }
}

fn fact_names(steps: &[Step], found: &mut Vec<String>) {
    for step in steps {
        match step {
            Step::Fact(name) | Step::Reference { fact: name, .. } => found.push(name.clone()),
            Step::When { condition, steps, .. } => {
                if let Condition::Fact(name) = condition {
                    found.push(name.clone());
                }
                fact_names(steps, found);
            }
            _ => {}
        }
    }
}

#[test]
fn all_objects_are_json_and_all_facts_are_there() {
    let shapes = Shapes::compile().expect("the built-in shapes compile");
    let (world, overlay) = (world(), Overlay::default());
    for era in [Era::Legacy, Era::Basil] {
        let now = world.clock_start;
        let ctx = Ctx {
            world: &world,
            overlay: &overlay,
            shapes: &shapes,
            era,
            now,
            live: false,
            frozen: false,
        };
        for res in Res::all().filter(|res| *res != Res::Event) {
            let shape = shapes.get(res, era);
            let mut wanted = Vec::new();
            fact_names(&shape.steps, &mut wanted);
            let expand: Vec<&str> = shape.expandables.iter().map(|e| e.path.as_str()).collect();
            for key in samples(&world, res) {
                let mut vars = Vars::default();
                facts::fill(&ctx, res, key, &mut vars);
                for name in &wanted {
                    assert!(vars.has(name), "{res:?}: no fact {name}");
                }
                for expand in [&[][..], &expand] {
                    let mut out = Vec::new();
                    ctx.write_object(res, key, expand, &mut out);
                    let object: Result<Value, _> = serde_json::from_slice(&out);
                    let object = object.unwrap_or_else(|e| {
                        panic!("{res:?}: {e}: {}", String::from_utf8_lossy(&out))
                    });
                    assert_eq!(object["object"], res.def().object, "{res:?}");
                    assert_eq!(object["id"], world.id(res, key), "{res:?}");
                }
            }
        }
    }
}

#[test]
fn no_key_appears_twice() {
    let shapes = Shapes::compile().expect("the built-in shapes compile");
    let (world, overlay) = (world(), Overlay::default());
    for era in [Era::Legacy, Era::Basil] {
        let now = world.clock_start;
        let ctx = Ctx {
            world: &world,
            overlay: &overlay,
            shapes: &shapes,
            era,
            now,
            live: false,
            frozen: false,
        };
        for res in Res::all().filter(|res| *res != Res::Event) {
            let Some(key) = samples(&world, res).first().copied() else { continue };
            let mut out = Vec::new();
            ctx.write_object(res, key, &[], &mut out);
            let text = String::from_utf8(out).unwrap_or_default();
            // A map keeps the last of two equal keys, so writing it again would be shorter.
            let map: Value = serde_json::from_str(&text).unwrap_or_default();
            assert_eq!(map.to_string().len(), text.len(), "{res:?}");
        }
    }
}

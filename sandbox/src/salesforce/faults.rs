//! Faults in Salesforce's words.

use super::error::Error;
use crate::api::Reply;
use crate::faults::Fault;

/// The answer for a fault; None for one that only changes how the answer arrives.
pub fn reply(fault: &Fault) -> Option<Reply> {
    let error = match fault {
        Fault::TooMany { .. } => {
            Error::limit("ConcurrentRequests (Concurrent API) Limit exceeded.")
        }
        Fault::LockTimeout => {
            Error::new(503, "SERVER_UNAVAILABLE", "The org is locked for upgrade")
        }
        Fault::RateLimit400 => return Some(html(420, "We are setting things up...")),
        Fault::Conflict => return Some(Reply { status: 406, ..Reply::default() }),
        Fault::ServerError { status: 503, .. } => {
            Error::new(503, "SERVER_UNAVAILABLE", "Too many requests are waiting for connections")
        }
        Fault::ServerError { status, .. } => {
            Error::new(*status, "UNKNOWN_EXCEPTION", "An unexpected error occurred")
        }
        Fault::Html => return Some(html(200, "Maintenance")),
        Fault::Reply { status, body } => {
            let body = body.clone().into_bytes().into();
            return Some(Reply { status: *status, body, ..Reply::default() });
        }
        Fault::ExpireToken | Fault::Reset | Fault::Truncate(_) | Fault::Slow(_) => return None,
    };
    Some(error.reply())
}

fn html(status: u16, text: &str) -> Reply {
    let headers = vec![("content-type", "text/html".to_owned())];
    let body = format!("<!doctype html><html><body><h1>{text}</h1></body></html>").into_bytes();
    Reply { status, headers, body: body.into(), delay: None }
}

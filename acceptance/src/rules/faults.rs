//! F: what the connector does when the API does not behave.

use super::rules;

rules! { FAULTS;
    F01 Error "429 with Retry-After is ridden out"
        why "Every API limits; a sync that dies of it never ends."
        fix "Wait as long as the answer says and repeat the request.";
    F02 Error "429 without Retry-After is ridden out"
        why "Many APIs leave the header out."
        fix "Back off exponentially, with jitter, and repeat the request.";
    F03 Error "5xx answers are ridden out"
        why "Gateways restart every day."
        fix "Repeat with exponential backoff.";
    F04 Error "connections that are reset are ridden out"
        why "Networks break; a long sync sees it for sure."
        fix "Repeat the request: reads are idempotent.";
    F05 Error "a body that breaks off is asked for again"
        why "Half a page taken for a whole one is silent loss."
        fix "Check that the body is complete and parses; repeat the request if not.";
    F06 Error "slow answers are waited for"
        why "Large pages take their time; giving up early never succeeds."
        fix "Use timeouts of minutes, not seconds.";
    F07 Error "a token that expires in the middle is renewed"
        why "Syncs outlive access tokens."
        fix "On 401 renew the token once and repeat the request.";
    F08 Error "an answer that is no JSON is not taken for an empty page"
        why "Proxies answer 200 with HTML; the rest of the stream is lost silently."
        fix "Repeat, and fail the stream if it stays.";
    F09 Error "requests stay bounded under faults"
        why "A connector that hammers a struggling API gets the user's account blocked."
        fix "Cap attempts, and pause all tasks together on 429.";
    F10 Error "an API that stays broken makes the read fail, loudly and in time"
        why "COMPLETE and exit code 0 without the data is silent loss; retrying for ever blocks the schedule."
        fix "Give up after bounded attempts with an error trace, INCOMPLETE and exit code 1.";
    F11 Error "Retry-After is honoured"
        why "Asking earlier prolongs the limit at many APIs."
        fix "Wait at least that long before the next request.";
    F12 Warning "a wait for a rate limit is announced"
        why "Orchestrators take silence for a hang."
        fix "Print RUNNING with reason RATE_LIMITED and quota_reset.";
    F13 Error "refused access is an error of kind config, never an empty stream"
        why "A missing permission must not look like a table without rows."
        fix "Map 401 and 403 to config_error, per stream.";
    F14 Error "secrets echoed by the API do not reach the output"
        why "Error bodies repeat the request, and connectors print error bodies."
        fix "Mask secrets in everything that is printed, run-time tokens too.";
}

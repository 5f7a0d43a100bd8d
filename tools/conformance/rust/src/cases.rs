//! The language between the runner and the programs that hold a client: one JSON object
//! a line on standard output for each case.
use std::fmt::Debug;
use std::process::Command;

const CLIENT: &str = "libhimmelblau";
/// The version that Cargo.toml pins with an equals sign.
const VERSION: &str = "0.8.25";

/// One name of the run's environment.
pub fn world(name: &str) -> String {
    std::env::var(format!("CONF_{name}")).unwrap_or_default()
}

pub fn write(case: &str, verdict: &str, reason: &str) {
    let line = serde_json::json!({"client": CLIENT, "version": VERSION, "case": case, "verdict": verdict, "reason": reason});
    println!("{line}");
}

/// A case that must succeed; what came out is handed back.
pub fn check<T, E: Debug>(case: &str, seen: &str, result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => {
            write(case, "PASS", seen);
            Some(value)
        }
        Err(e) => {
            write(case, "FAIL", &format!("{e:?}"));
            None
        }
    }
}

/// A case that must be refused with a text that contains want.
pub fn refuse<T, E: Debug>(case: &str, want: &str, result: Result<T, E>) {
    match result {
        Ok(_) => write(case, "FAIL", &format!("it was accepted, and has to be refused with {want}")),
        Err(e) if format!("{e:?}").contains(want) => write(case, "PASS", &format!("refused with {want}")),
        Err(e) => write(case, "FAIL", &format!("refused, but not with {want}: {e:?}")),
    }
}

/// lockstep tenant, against the server of the run.
pub fn tenant(args: &[&str]) -> Result<String, String> {
    let out = Command::new(world("LOCKSTEP"))
        .arg("tenant")
        .args(args)
        .args(["--state", &world("STATE")])
        .output()
        .map_err(|e| e.to_string())?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

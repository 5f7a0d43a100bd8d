//! libhimmelblau, unmodified: a Linux broker from enrolment to single sign-on. It signs by
//! version 1 of the key derivation and reads the sign-in pages by their $Config.
mod cases;

use cases::{check, refuse, tenant, world, write};
use himmelblau::{error::MsalError, BrokerClientApplication, EnrollAttrs, MFAAuthContinue, UserToken};
use kanidm_hsm_crypto::{
    provider::{BoxedDynTpm, SoftTpm, Tpm},
    structures::{SealedData, StorageKey},
    AuthValue,
};

const GRAPH: &str = "https://graph.microsoft.com";

struct Machine {
    app: BrokerClientApplication,
    tpm: BoxedDynTpm,
    key: StorageKey,
}

#[tokio::main]
async fn main() {
    match machine() {
        Ok(mut m) => run(&mut m).await,
        Err(e) => write("start", "FAIL", &e),
    }
}

fn machine() -> Result<Machine, String> {
    let mut tpm = BoxedDynTpm::new(SoftTpm::default());
    let auth = AuthValue::ephemeral().map_err(|e| format!("{e:?}"))?;
    let loadable = tpm.root_storage_key_create(&auth).map_err(|e| format!("{e:?}"))?;
    let key = tpm.root_storage_key_load(&auth, &loadable).map_err(|e| format!("{e:?}"))?;
    let authority = format!("https://{}/{}", world("LOGIN"), world("TENANT"));
    let app = BrokerClientApplication::new(Some(&authority), None, None, None).map_err(|e| format!("{e:?}"))?;
    Ok(Machine { app, tpm, key })
}

async fn run(m: &mut Machine) {
    let (user, password) = (world("USER"), world("PASSWORD"));
    refuse(
        "enrolment.wrong-password",
        "50126",
        m.app.acquire_token_by_username_password_for_device_enrollment(&user, "not the password").await,
    );
    let token = m.app.acquire_token_by_username_password_for_device_enrollment(&user, &password).await;
    let Some(token) = check("enrolment.password", "tokens", token) else { return };
    device_code(m).await;
    let Some(attrs) = check(
        "enrolment.attributes",
        "read",
        EnrollAttrs::new(world("DOMAIN"), Some("himmelblau".into()), None, Some(0), Some("12".into())),
    ) else {
        return;
    };
    let enrolled = m.app.enroll_device(&token.refresh_token, attrs, &mut m.tpm, &m.key).await;
    if check("enrolment.device", "certificate and keys", enrolled).is_none() {
        return;
    }
    refuse(
        "prt.wrong-password",
        "50126",
        m.app.acquire_user_prt_by_username_password(&user, "not the password", &mut m.tpm, &m.key).await,
    );
    let prt = m.app.acquire_user_prt_by_username_password(&user, &password, &mut m.tpm, &m.key).await;
    if let Some(prt) = check("prt.password", "a PRT by key derivation 1", prt) {
        with_prt(m, &prt, "").await;
    }
    let again = m.app.acquire_user_prt_by_refresh_token(&token.refresh_token, &mut m.tpm, &m.key).await;
    check("prt.refresh-token", "a PRT", again);
    let named = m
        .app
        .acquire_token_by_username_password(&user, &password, vec![], Some(GRAPH.into()), &mut m.tpm, &m.key)
        .await;
    check("token.password", "tokens by a PRT in between", named.and_then(|t| t.spn()));
    second_factor(m).await;
}

/// What a broker does with a PRT: tokens, a new PRT, a cookie.
async fn with_prt(m: &mut Machine, prt: &SealedData, name: &str) {
    check(
        &format!("prt{name}.user"),
        "name, user and object id of the id_token",
        m.app.spn_from_prt(prt, &mut m.tpm, &m.key),
    );
    let token = m.app.exchange_prt_for_access_token(prt, vec![], Some(GRAPH.into()), &mut m.tpm, &m.key).await;
    if let Some(token) = check(
        &format!("prt{name}.access-token"),
        "by /authorize with both headers, code from the page's body",
        token,
    ) {
        check(
            &format!("prt{name}.refresh"),
            "tokens by the refresh token",
            m.app
                .acquire_token_by_refresh_token(&token.refresh_token, vec![], Some(GRAPH.into()), &mut m.tpm, &m.key)
                .await,
        );
    }
    let scoped = m
        .app
        .exchange_prt_for_access_token(prt, vec!["https://graph.microsoft.com/.default"], None, &mut m.tpm, &m.key)
        .await;
    check(&format!("prt{name}.access-token.v2"), "the same on the endpoint v2.0", scoped);
    let renewed = m.app.exchange_prt_for_prt(prt, &mut m.tpm, &m.key, true).await;
    if let Some(renewed) = check(&format!("prt{name}.renew"), "a new PRT, decrypted", renewed) {
        check(
            &format!("prt{name}.after-renewal"),
            "tokens by the new PRT",
            m.app
                .exchange_prt_for_access_token(&renewed, vec![], Some(GRAPH.into()), &mut m.tpm, &m.key)
                .await,
        );
    }
    check(
        &format!("prt{name}.cookie"),
        "a cookie with a nonce",
        m.app.acquire_prt_sso_cookie(prt, &mut m.tpm, &m.key).await,
    );
}

async fn device_code(m: &mut Machine) {
    let flow = m.app.initiate_device_flow_for_device_enrollment().await;
    let Some(flow) = check("device-code.start", "a code", flow) else { return };
    if let Err(e) = tenant(&["approve-code", &flow.user_code, "--user", &world("USER")]) {
        return write("device-code", "FAIL", &e);
    }
    for _ in 0..6 {
        match m.app.acquire_token_by_device_flow(flow.clone()).await {
            Err(MsalError::MFAPollContinue) => tokio::time::sleep(std::time::Duration::from_secs(5)).await,
            other => {
                check("device-code", "tokens", other);
                return;
            }
        }
    }
    write("device-code", "FAIL", "still pending after approval");
}

/// The pages with a second factor, and Hello, which needs one.
async fn second_factor(m: &mut Machine) {
    let (user, password) = (world("MFA_BROKER_USER"), world("FACTOR_PASSWORD"));
    let wrong = m.app.initiate_acquire_token_by_mfa_flow(&user, Some("not the password"), &[], None).await;
    refuse("pages.wrong-password", "50126", wrong.map(|_| ()));
    let flow = m.app.initiate_acquire_token_by_mfa_flow(&user, Some(&password), &[], None).await;
    let Some(mut flow) = check("pages.password", "the page that asks for a second factor", flow) else {
        return;
    };
    let Some(token) = check("pages.second-factor", "tokens by a one-time code", typed(m, &user, &mut flow).await) else {
        return;
    };
    check(
        "pages.mfa-claim",
        "amr has mfa",
        token.amr_mfa().and_then(|yes| {
            if yes {
                Ok(())
            } else {
                Err(MsalError::GeneralFailure("no mfa in amr".into()))
            }
        }),
    );
    let pin = "135790";
    let key = m.app.provision_hello_for_business_key(&token, &mut m.tpm, &m.key, pin).await;
    let Some(key) = check("hello.provision", "the key was registered", key) else {
        return;
    };
    let prt = m.app.acquire_user_prt_by_hello_for_business_key(&user, &key, &mut m.tpm, &m.key, pin).await;
    if let Some(prt) = check("hello.prt", "a PRT by the Hello key", prt) {
        with_prt(m, &prt, ".hello").await;
    }
    let direct = m
        .app
        .acquire_token_by_hello_for_business_key(&user, &key, vec![], Some(GRAPH.into()), &mut m.tpm, &m.key, pin)
        .await;
    check("hello.token", "tokens by the Hello key", direct);
}

async fn typed(m: &Machine, user: &str, flow: &mut MFAAuthContinue) -> Result<UserToken, MsalError> {
    let code = tenant(&["totp", user]).map_err(MsalError::GeneralFailure)?;
    m.app.acquire_token_by_mfa_flow(user, Some(&code), None, flow).await
}

openssl dgst -sha256 -binary -out plain.hash message
(printf '\0\40'; openssl dgst -sha256 -binary message) > message.hash
for command in "tpm2_policylocality -Q zero" "tpm2_policynvwritten -Q s" "tpm2_policycountertimer -Q --ult clock=99999999999" \
	"tpm2_policycphash -Q --cphash message.hash" "tpm2_policynamehash -Q -n plain.hash" "tpm2_policytemplate -Q --template-hash plain.hash"; do
	tpm2_startauthsession -Q --policy-session -S s.ctx
	$command -S s.ctx -L policy
	test "$(wc -c < policy)" = 32
	tpm2_flushcontext s.ctx
done

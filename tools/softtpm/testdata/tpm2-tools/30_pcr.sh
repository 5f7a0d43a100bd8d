tpm2_pcrread sha256:0,16,23 -o pcrs
test "$(wc -c < pcrs)" = 96
tpm2_pcrreset 16
test "$(tpm2_pcrread sha256:16 -o v > /dev/null; xxd -p -c 64 v)" = "$(head -c 32 /dev/zero | xxd -p -c 64)"
digest=$(echo -n measured | sha256sum | cut -d' ' -f1)
tpm2_pcrextend 16:sha256=$digest
tpm2_pcrread sha256:16 -o v > /dev/null
test "$(xxd -p -c 64 v)" = "$( (head -c 32 /dev/zero; echo -n $digest | xxd -r -p) | sha256sum | cut -d' ' -f1)"
tpm2_pcrevent 16 message > events
grep -q "sha256: $(sha256sum message | cut -d' ' -f1)" events
! tpm2_pcrreset 0

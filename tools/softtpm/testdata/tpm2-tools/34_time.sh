tpm2_readclock > clock
grep -q clock clock
tpm2_gettime -Q -c signer.ctx -g sha256 -o sig -f plain --attestation attest -q abcd
openssl dgst -sha256 -verify signer.pem -signature sig attest
tpm2_testparms rsa2048
tpm2_testparms ecc256
! tpm2_testparms rsa512

tpm2_createprimary -Q -C e -G ecc256:ecdsa-sha256:null -c signer.ctx -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign'
tpm2_readpublic -Q -c signer.ctx -f pem -o signer.pem
tpm2_certify -Q -c ecc256.ctx -C signer.ctx -g sha256 -o attest -s sig -f plain
openssl dgst -sha256 -verify signer.pem -signature sig attest
tpm2_create -Q -C parent.ctx -G ecc256 -u c.pub -r c.priv --creation-data c.data -d c.digest -t c.ticket
tpm2_load -Q -C parent.ctx -u c.pub -r c.priv -c c.ctx
tpm2_certifycreation -Q -C signer.ctx -c c.ctx -d c.digest -t c.ticket -g sha256 -o sig -f plain --attestation attest
openssl dgst -sha256 -verify signer.pem -signature sig attest
# The ticket is of that object and no other.
! tpm2_certifycreation -Q -C signer.ctx -c ecc256.ctx -d c.digest -t c.ticket -g sha256 -o sig --attestation attest

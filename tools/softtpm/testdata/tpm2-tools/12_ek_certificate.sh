tpm2_createek -Q -c ek.ctx -G ecc -u ek.pub -f pem
tpm2_getekcertificate -o ek.der
openssl x509 -inform der -in ek.der -pubkey -noout > certified.pem
openssl pkey -pubin -in ek.pub -outform der > a
openssl pkey -pubin -in certified.pem -outform der > b
cmp a b
openssl x509 -inform der -in ek.der -out ek.pem
openssl verify -ignore_critical -check_ss_sig -CAfile "$ROOT" ek.pem
openssl x509 -in ek.pem -noout -text | has 'Lockstep emulated TPM CA'
# Who may not write it, cannot.
! tpm2_nvundefine -Q 0x01c0000a -C o
! tpm2_nvwrite -Q 0x01c0000a -C o -i data
! tpm2_nvundefine -Q 0x01c0000a -C p
! tpm2_clear -c p

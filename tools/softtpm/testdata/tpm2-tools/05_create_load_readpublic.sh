for kind in rsa2048 ecc256 ecc384 hmac aes128 aes256; do
	tpm2_create -Q -C parent.ctx -G $kind -u $kind.pub -r $kind.priv
	tpm2_load -Q -C parent.ctx -u $kind.pub -r $kind.priv -c $kind.ctx -n $kind.name
	tpm2_readpublic -Q -c $kind.ctx -n again.name
	cmp $kind.name again.name
done
tpm2_readpublic -Q -c rsa2048.ctx -f pem -o rsa2048.pem
tpm2_readpublic -Q -c ecc256.ctx -f pem -o ecc256.pem
tpm2_readpublic -Q -c ecc384.ctx -f pem -o ecc384.pem
openssl pkey -pubin -in rsa2048.pem -noout
openssl pkey -pubin -in ecc384.pem -noout
# A private part goes with its own public part and no other.
! tpm2_load -Q -C parent.ctx -u ecc256.pub -r rsa2048.priv -c no.ctx
! tpm2_load -Q -C parent.ctx -u rsa2048.pub -r ecc256.priv -c no.ctx

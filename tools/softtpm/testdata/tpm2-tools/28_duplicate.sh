tpm2_startauthsession -Q -S s.ctx
tpm2_policycommandcode -Q -S s.ctx -L policy TPM2_CC_Duplicate
tpm2_flushcontext s.ctx
tpm2_createprimary -Q -C o -G rsa2048 -c to.ctx
tpm2_readpublic -Q -c to.ctx -o to.pub
tpm2_create -Q -C parent.ctx -G ecc256 -L policy -a 'sensitivedataorigin|userwithauth|sign' -u d.pub -r d.priv
tpm2_load -Q -C parent.ctx -u d.pub -r d.priv -c d.ctx
tpm2_readpublic -Q -c d.ctx -f pem -o d.pem
tpm2_loadexternal -Q -C o -u to.pub -c topub.ctx
for inner in null aes; do
	tpm2_startauthsession -Q --policy-session -S s.ctx
	tpm2_policycommandcode -Q -S s.ctx TPM2_CC_Duplicate
	if test $inner = null; then
		tpm2_duplicate -Q -C topub.ctx -c d.ctx -G null -p session:s.ctx -r dup.priv -s dup.seed
	else
		head -c 16 /dev/urandom > inner.key
		tpm2_duplicate -Q -C topub.ctx -c d.ctx -G aes -i inner.key -p session:s.ctx -r dup.priv -s dup.seed
	fi
	tpm2_flushcontext s.ctx
	if test $inner = null; then
		tpm2_import -Q -C to.ctx -u d.pub -r back.priv -i dup.priv -s dup.seed
	else
		tpm2_import -Q -C to.ctx -u d.pub -r back.priv -i dup.priv -s dup.seed -k inner.key
	fi
	tpm2_load -Q -C to.ctx -u d.pub -r back.priv -c back.ctx
	tpm2_sign -Q -c back.ctx -g sha256 -f plain -o sig message
	openssl dgst -sha256 -verify d.pem -signature sig message
done

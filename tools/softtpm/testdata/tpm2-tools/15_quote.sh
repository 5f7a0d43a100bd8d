tpm2_pcrextend 16:sha256=$(echo -n measured | sha256sum | cut -d' ' -f1)
for kind in ecc256:ecdsa-sha256:null rsa2048:rsassa-sha256:null; do
	tpm2_createprimary -Q -C e -G $kind -c q.ctx -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign'
	tpm2_readpublic -Q -c q.ctx -f pem -o q.pem
	tpm2_quote -Q -c q.ctx -l sha256:0,7,16 -q abcdef -m quote -s sig -o pcrs -g sha256
	tpm2_checkquote -Q -u q.pem -m quote -s sig -f pcrs -g sha256 -q abcdef
	! tpm2_checkquote -Q -u q.pem -m quote -s sig -f pcrs -g sha256 -q abcdee
done

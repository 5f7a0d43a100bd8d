openssl genrsa -out r.pem 2048
openssl ecparam -name prime256v1 -genkey -noout -out e.pem
for kind in rsa ecc; do
	key=r.pem; test $kind = ecc && key=e.pem
	tpm2_import -Q -C parent.ctx -G $kind -i $key -u i.pub -r i.priv
	tpm2_load -Q -C parent.ctx -u i.pub -r i.priv -c i.ctx
	tpm2_sign -Q -c i.ctx -g sha256 -f plain -o sig message
	openssl pkey -in $key -pubout -out i.pem
	openssl dgst -sha256 -verify i.pem -signature sig message
	tpm2_loadexternal -Q -C n -G $kind -r $key -c i.ctx
	tpm2_sign -Q -c i.ctx -g sha256 -f plain -o sig message
	openssl dgst -sha256 -verify i.pem -signature sig message
	tpm2_loadexternal -Q -C o -G $kind -u i.pem -c i.ctx
done

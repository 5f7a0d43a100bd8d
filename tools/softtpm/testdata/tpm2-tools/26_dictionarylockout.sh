tpm2_dictionarylockout -Q -c
tpm2_dictionarylockout -Q -s -n 2 -t 1000 -l 1000
tpm2_create -Q -C parent.ctx -G ecc256 -p pin -u a.pub -r a.priv -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_sign -Q -c a.ctx -p pin -o sig message
! tpm2_sign -Q -c a.ctx -p bad -o sig message
! tpm2_sign -Q -c a.ctx -p bad -o sig message
! tpm2_sign -Q -c a.ctx -p pin -o sig message
tpm2_getcap properties-variable | has 'inLockout: *1'
tpm2_dictionarylockout -Q -c
tpm2_getcap properties-variable | has 'inLockout: *0'
tpm2_sign -Q -c a.ctx -p pin -o sig message
tpm2_dictionarylockout -Q -s -n 100 -t 1000 -l 1000

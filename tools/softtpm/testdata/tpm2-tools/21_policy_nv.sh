tpm2_nvdefine -Q 0x1500007 -C o -s 2 -a 'ownerread|ownerwrite|authread'
printf '\0\5' | tpm2_nvwrite -Q 0x1500007 -C o -i -
printf '\0\4' > operand
tpm2_startauthsession -Q -S s.ctx
tpm2_policynv -Q -S s.ctx -C o 0x1500007 ugt -i operand -L policy
tpm2_flushcontext s.ctx
tpm2_create -Q -C parent.ctx -i sealed -L policy -a 'fixedtpm|fixedparent' -u a.pub -r a.priv
tpm2_load -Q -C parent.ctx -u a.pub -r a.priv -c a.ctx
tpm2_startauthsession -Q --policy-session -S s.ctx
tpm2_policynv -Q -S s.ctx -C o 0x1500007 ugt -i operand
test "$(tpm2_unseal -c a.ctx -p session:s.ctx)" = sealed
tpm2_flushcontext s.ctx
printf '\0\4' | tpm2_nvwrite -Q 0x1500007 -C o -i -
tpm2_startauthsession -Q --policy-session -S s.ctx
! tpm2_policynv -Q -S s.ctx -C o 0x1500007 ugt -i operand
tpm2_flushcontext s.ctx
tpm2_nvundefine -Q 0x1500007 -C o

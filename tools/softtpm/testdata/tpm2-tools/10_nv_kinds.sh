tpm2_nvdefine -Q 0x1500003 -C o -a 'ownerread|ownerwrite|nt=counter'
tpm2_nvincrement -Q 0x1500003 -C o
one=$(tpm2_nvread 0x1500003 -C o | xxd -p)
tpm2_nvincrement -Q 0x1500003 -C o
two=$(tpm2_nvread 0x1500003 -C o | xxd -p)
test $((0x$one + 1)) = $((0x$two))
! tpm2_nvwrite -Q 0x1500003 -C o -i data
tpm2_nvundefine -Q 0x1500003 -C o

tpm2_nvdefine -Q 0x1500004 -C o -a 'ownerread|ownerwrite|nt=bits'
tpm2_nvsetbits -Q 0x1500004 -C o -i 0x10
tpm2_nvsetbits -Q 0x1500004 -C o -i 0x01
test "$(tpm2_nvread 0x1500004 -C o | xxd -p)" = 0000000000000011
tpm2_nvundefine -Q 0x1500004 -C o

tpm2_nvdefine -Q 0x1500005 -C o -a 'ownerread|ownerwrite|nt=extend' -g sha256
tpm2_nvextend -Q 0x1500005 -C o -i data
test "$(tpm2_nvread 0x1500005 -C o | xxd -p -c 64)" = "$( (head -c 32 /dev/zero; cat data) | sha256sum | cut -d' ' -f1)"
tpm2_nvundefine -Q 0x1500005 -C o

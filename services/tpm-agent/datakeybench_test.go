package tpmagent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// BenchmarkTokenByRefreshToken is a token request with a sealed refresh token, under the
// data key of its user, and in the same run, turn by turn, one with something of the
// same size under the data key of the registration, which is where refresh tokens
// rested before users had keys of their own (x_device_key).
func BenchmarkTokenByRefreshToken(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		size := strings.Repeat("r", 1<<10)
		provider, partition := tpmagenttest.NewProvider(), tpmagenttest.Partition(tpmagenttest.UserA)
		answer := must[string](b)(entrawire.SealAnswer(x.key, must[[]byte](b)(entrawire.NewDataKeyAnswer(provider.ID, secret.NewBytes(provider.Key)).Encode())))
		made, err := x.data.CreateDataKey(x.ctx, &tpmv1.CreateDataKeyRequest{Partition: partition, SessionKey: x.sealed, Answer: answer})
		if err != nil {
			b.Fatal(err)
		}
		tokens := must[string](b)(entrawire.SealAnswer(x.key, []byte(`{"token_type":"Bearer","expires_in":"3600","access_token":"a.b.c","refresh_token":"`+size+`"}`)))
		opened := must[*tpmv1.OpenTokenAnswerResponse](b)(x.prt.OpenTokenAnswer(x.ctx, &tpmv1.OpenTokenAnswerRequest{
			Partition: partition, SessionKey: x.sealed, ClientId: entrawire.BrokerClientID, Answer: tokens,
		}))
		device := must[*tpmv1.ProtectPRTResponse](b)(x.prt.ProtectPRT(x.ctx, &tpmv1.ProtectPRTRequest{Partition: partition, Prt: size}))
		request := func() *tpmv1.SignTokenRequestRequest {
			return &tpmv1.SignTokenRequestRequest{
				Partition: partition, SessionKey: x.sealed, ClientId: entrawire.BrokerClientID, Resource: "https://graph.example", RequestNonce: nonce,
			}
		}
		user, before := request(), request()
		user.Grant = &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: opened.GetRefreshToken()}
		before.Grant = &tpmv1.SignTokenRequestRequest_SealedPrt{SealedPrt: device.GetSealedPrt()}
		var spent [2]time.Duration
		turn := func(i int, r *tpmv1.SignTokenRequestRequest) {
			start := time.Now()
			if _, err := x.prt.SignTokenRequest(x.ctx, r); err != nil {
				b.Fatal(err)
			}
			spent[i] += time.Since(start)
		}
		rounds := 0
		for b.Loop() {
			turn(0, user)
			turn(1, before)
			rounds++
		}
		b.ReportMetric(float64(spent[0].Microseconds())/float64(rounds), "us_user_key")
		b.ReportMetric(float64(spent[1].Microseconds())/float64(rounds), "us_device_key")
		b.ReportMetric(float64(spent[0])/float64(spent[1]), "x_device_key")

		start := time.Now()
		const unlocks = 50
		for range unlocks {
			if _, err := x.data.UnlockDataKey(x.ctx, &tpmv1.UnlockDataKeyRequest{
				Partition: partition, SessionKey: x.sealed, Answer: answer, DataKey: made.GetDataKey(),
			}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/unlocks, "us_unlock")
	})
}

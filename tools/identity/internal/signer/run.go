package signer

import (
	"context"
	"fmt"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	// publishEvery is how often the bundles are compared with the table.
	publishEvery = time.Minute
	// answerTime bounds one try to answer a request.
	answerTime = 20 * time.Second
)

// Run publishes the bundles and answers requests until ctx ends. ready is called when
// the first bundles are there and requests are being watched.
func (s *Signer) Run(ctx context.Context, ready func()) error {
	if err := s.Publish(ctx); err != nil {
		return err
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	defer queue.ShutDown()
	factory := informers.NewSharedInformerFactoryWithOptions(s.cfg.Client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.signerName", Name).String()
	}))
	requests := factory.Certificates().V1().PodCertificateRequests()
	put := func(o any) {
		if name, err := cache.ObjectToName(o); err == nil {
			queue.Add(name)
		}
	}
	if _, err := requests.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: put, UpdateFunc: func(_, o any) { put(o) }}); err != nil {
		return fmt.Errorf("watch requests: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), requests.Informer().HasSynced) {
		return ctx.Err()
	}
	get := func(n cache.ObjectName) (*certv1.PodCertificateRequest, error) {
		return requests.Lister().PodCertificateRequests(n.Namespace).Get(n.Name)
	}
	go s.work(ctx, queue, get)
	ready()
	return s.republish(ctx)
}

func (s *Signer) republish(ctx context.Context) error {
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.Publish(ctx); err != nil {
				s.cfg.Log.Error("trust bundles are not what the table says", "error", err)
			}
		}
	}
}

// work answers one request after the other. What cannot be answered now comes again,
// later each time.
func (s *Signer) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[cache.ObjectName], get func(cache.ObjectName) (*certv1.PodCertificateRequest, error)) {
	for {
		name, over := queue.Get()
		if over {
			return
		}
		r, err := get(name)
		if err == nil {
			bounded, cancel := context.WithTimeout(ctx, answerTime)
			err = s.Answer(bounded, r)
			cancel()
			if err != nil {
				s.cfg.Log.Warn("a request waits for its answer", "request", name.String(), "error", err)
				queue.AddRateLimited(name)
			}
		}
		if err == nil {
			queue.Forget(name)
		}
		queue.Done(name)
	}
}

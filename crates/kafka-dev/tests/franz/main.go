// franz-go against kafka-dev: codecs, the balancers range and cooperative-sticky with members that come and go, a static
// member that comes back, a transaction. Prints one line of JSON; anything unexpected ends it with exit code 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	partitions = 4
	records    = 400
)

var bootstrap = os.Args[1]

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, options...)...)
	check(err, "client")
	return made
}

// Waits until the condition holds, or gives up.
func until(what string, holds func() bool) {
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			check(fmt.Errorf("it did not happen"), what)
		}
	}
}

func createTopic(ctx context.Context, topic string) {
	request := kmsg.NewPtrCreateTopicsRequest()
	asked := kmsg.NewCreateTopicsRequestTopic()
	asked.Topic, asked.NumPartitions, asked.ReplicationFactor = topic, partitions, 1
	request.Topics = append(request.Topics, asked)
	admin := client()
	defer admin.Close()
	_, err := request.RequestWith(ctx, admin)
	check(err, "create "+topic)
}

func produce(ctx context.Context, topic string, codec kgo.CompressionCodec, from, to int) {
	producer := client(kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer producer.Close()
	var batch []*kgo.Record
	for number := from; number < to; number++ {
		value := []byte(fmt.Sprintf("%04d", number))
		batch = append(batch, &kgo.Record{Topic: topic, Partition: int32(number % partitions), Value: value})
	}
	check(producer.ProduceSync(ctx, batch...).FirstErr(), "produce")
}

// A member of a group that polls until it is stopped.
type member struct {
	client   *kgo.Client
	mutex    sync.Mutex
	assigned map[int32]bool
	values   map[string]bool
}

func join(ctx context.Context, group, topic string, options ...kgo.Opt) *member {
	joined := &member{assigned: map[int32]bool{}, values: map[string]bool{}}
	change := func(holds bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			joined.mutex.Lock()
			defer joined.mutex.Unlock()
			for _, partition := range changed[topic] {
				if holds {
					joined.assigned[partition] = true
				} else {
					delete(joined.assigned, partition)
				}
			}
		}
	}
	joined.client = client(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)),
	}, options...)...)
	go func() {
		for {
			fetches := joined.client.PollFetches(ctx)
			if fetches.IsClientClosed() || ctx.Err() != nil {
				return
			}
			joined.mutex.Lock()
			fetches.EachRecord(func(record *kgo.Record) { joined.values[string(record.Value)] = true })
			joined.mutex.Unlock()
		}
	}()
	return joined
}

func (m *member) holds() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return len(m.assigned)
}

func (m *member) read() map[string]bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	seen := map[string]bool{}
	for value := range m.values {
		seen[value] = true
	}
	return seen
}

// Two members share, the second one goes, the first one has all again; how many values they saw together.
func share(ctx context.Context, group, topic string, balancer kgo.GroupBalancer) int {
	first := join(ctx, group, topic, kgo.Balancers(balancer))
	until("the first member's share", func() bool { return first.holds() == partitions })
	second := join(ctx, group, topic, kgo.Balancers(balancer))
	until("sharing", func() bool { return first.holds() == partitions/2 && second.holds() == partitions/2 })
	produce(ctx, topic, kgo.NoCompression(), records, records+partitions)
	together := func() int {
		seen := first.read()
		for value := range second.read() {
			seen[value] = true
		}
		return len(seen)
	}
	until("all values", func() bool { return together() == records+partitions })
	check(second.client.CommitUncommittedOffsets(ctx), "commit")
	second.client.Close()
	until("taking over", func() bool { return first.holds() == partitions })
	first.client.Close()
	return together()
}

// A static member that comes back under its name keeps its member slot; the generation it had before and after.
func comeBack(ctx context.Context, group, topic string) (int32, int32) {
	generation := func() int32 {
		joined := join(ctx, group, topic, kgo.InstanceID("static-1"), kgo.Balancers(kgo.RangeBalancer()))
		until("the static member's share", func() bool { return joined.holds() == partitions })
		_, generation := joined.client.GroupMetadata()
		joined.client.Close()
		return generation
	}
	return generation(), generation()
}

// What readers of committed records see of an aborted and a committed transaction.
func transactions(ctx context.Context, topic string) []string {
	producer := client(kgo.TransactionalID("franz"), kgo.DefaultProduceTopic(topic))
	defer producer.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		check(producer.BeginTransaction(), "begin")
		value := map[kgo.TransactionEndTry]string{kgo.TryAbort: "aborted", kgo.TryCommit: "committed"}[end]
		check(producer.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(), "produce in a transaction")
		check(producer.EndTransaction(ctx, end), "end")
	}
	reader := client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	var values []string
	until("the committed record", func() bool {
		waiting, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		reader.PollFetches(waiting).EachRecord(func(record *kgo.Record) { values = append(values, string(record.Value)) })
		return len(values) > 0
	})
	return values
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 80*time.Second)
	defer cancel()
	createTopic(ctx, "shared")
	createTopic(ctx, "in-transactions")
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for index, codec := range codecs {
		produce(ctx, "shared", codec, index*records/len(codecs), (index+1)*records/len(codecs))
	}
	told := map[string]any{
		"range":       share(ctx, "by-range", "shared", kgo.RangeBalancer()),
		"cooperative": share(ctx, "cooperative", "shared", kgo.CooperativeStickyBalancer()),
	}
	before, after := comeBack(ctx, "static", "shared")
	told["static"] = after == before
	told["transactions"] = transactions(ctx, "in-transactions")
	check(json.NewEncoder(os.Stdout).Encode(told), "print")
}

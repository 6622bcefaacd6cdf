// Kafka is a broker and a schema registry for tests, on loopback: franz-go's kfake and srfake.
//
//	kafka [-port N] [-data FOLDER] [-user NAME:PASSWORD [-mechanism NAME]] [-tls FILE]
//
// It writes one line of JSON with its addresses, then answers each line of stdin with a line, and ends with stdin:
//
//	compact  compact the topics whose policy is compact
//	retain   delete what retention no longer holds
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

func main() {
	log.SetFlags(0)
	port := flag.Int("port", 0, "port of the broker, 0 for a free one")
	data := flag.String("data", "", "folder that keeps the topics")
	user := flag.String("user", "", "NAME:PASSWORD that clients have to give by SASL")
	mechanism := flag.String("mechanism", "PLAIN", "mechanism of SASL")
	authority := flag.String("tls", "", "file to write the certificate to that clients of TLS have to know")
	flag.Parse()

	options := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(*port), kfake.ClusterID("esctl-tests")}
	if *data != "" {
		options = append(options, kfake.DataDir(*data))
	}
	if name, password, ok := strings.Cut(*user, ":"); ok {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(*mechanism, name, password))
	}
	if *authority != "" {
		config, err := certified(*authority)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, kfake.TLS(config))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	registry := srfake.New()
	defer registry.Close()

	told, _ := json.Marshal(map[string]string{"kafka": cluster.ListenAddrs()[0], "registry": registry.URL()})
	fmt.Println(string(told))
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		fmt.Println(obey(cluster, commands.Text()))
	}
}

func obey(cluster *kfake.Cluster, command string) string {
	switch command {
	case "compact":
		cluster.Compact()
	case "retain":
		cluster.ApplyRetention()
	default:
		return "unknown: " + command
	}
	return "ok"
}

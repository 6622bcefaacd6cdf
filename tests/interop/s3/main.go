// S3 is an object store for tests, on loopback: versitygw over a folder.
//
//	s3 -data FOLDER [-port N]
//
// The account is that of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; each folder in FOLDER/buckets is a bucket. It writes
// one line with its address, and ends with stdin.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
)

func main() {
	log.SetFlags(0)
	data := flag.String("data", "", "folder of the buckets, and of what is known of them")
	port := flag.Int("port", 0, "port, 0 for a free one")
	flag.Parse()
	address, err := free(*port)
	if err != nil {
		log.Fatal(err)
	}
	store, err := buckets(*data)
	if err != nil {
		log.Fatal(err)
	}
	root := middlewares.RootUserConfig{Access: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY")}
	account := auth.Account{Access: root.Access, Secret: root.Secret, Role: auth.RoleAdmin}
	accounts, err := auth.New(&auth.Opts{RootAccount: account})
	if err != nil {
		log.Fatal(err)
	}
	server, err := s3api.New(store, root, "us-east-1", accounts, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithConcurrencyLimiter(1024, 1024), s3api.WithMpMaxParts(10000),
		s3api.WithOnListen(func() { fmt.Println("http://" + address) }))
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(server.ServeMultiPort([]string{address}))
}

// buckets opens the folder as versitygw keeps objects in it, their attributes in files beside them.
func buckets(data string) (*posix.Posix, error) {
	known := filepath.Join(data, "known")
	for _, folder := range []string{filepath.Join(data, "buckets"), known} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	attributes, err := meta.NewSideCar(known)
	if err != nil {
		return nil, err
	}
	return posix.New(filepath.Join(data, "buckets"), attributes, posix.PosixOpts{Concurrency: 64, SideCarDir: known})
}

// free returns the address of a port that nothing listens at.
func free(port int) (string, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
